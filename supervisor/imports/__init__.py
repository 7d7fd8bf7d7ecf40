"""Other programs' files of jobs, read as jobs.toml: crontabs, supervisord.conf, Procfiles, systemd units.

Each reader fills a ``Draft``, which takes only what this version's manifest takes and notes the rest.
"""
