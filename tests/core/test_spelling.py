from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from manifests import job, parsed

from supervisor.core.durations import parse_duration, parse_size, spell_duration, spell_size
from supervisor.core.manifest.keys import JOB, SUPERVISOR
from supervisor.core.manifest.spelling import shown, spelled, spelled_settings

MADE_TO_OTHERS = {"env_file"}
"""Keys that are read and become others: the variables of the file."""


@given(st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=36_000)))
def test_a_duration_is_spelled_exactly(duration: timedelta) -> None:
    assert parse_duration(spell_duration(duration)) == duration


@given(st.integers(min_value=1, max_value=2**62))
def test_a_size_is_spelled_exactly(size: int) -> None:
    assert parse_size(spell_size(size)) == size


def test_every_key_is_spelled() -> None:
    jobs = [
        'run = "a:b"\nevery = "5m"\nkwargs = { a = 1 }\nenv = { A = "1" }',
        'run = "a:b"\ndelay = "5m"',
        'command = "x"\ncron = "* * * * *"',
        'command = "x"\nat = 2030-01-01T00:00:00Z',
    ]
    told = {key.partition(".")[0] for lines in jobs for key in spelled(job(lines))}
    assert JOB.keys() - MADE_TO_OTHERS - told == set()


def test_every_key_of_the_supervisor_is_spelled() -> None:
    told = {key.partition(".")[0] for key in spelled_settings(parsed('[jobs.a]\ncommand = "x"').settings)}
    assert told == SUPERVISOR.keys()


def test_values_are_spelled_as_the_manifest_spells_them() -> None:
    lines = """
        command = ["x", "y"]
        stop_signal = "SIGINT"
        stop_timeout = "none"
        success_exit = [75, "TERM", 0]
        backoff = { initial = "1500ms" }
        log = { max_size = "1M", stderr = "separate" }
        env = { TOKEN = "secret" }
        umask = "027"
        group_id = "staff"
        limits = { core = "unlimited", cpu_time = "90s", cpu = "150%" }
    """
    told = spelled(job(lines))
    assert list(told)[:4] == ["description", "enabled", "command", "shell"]
    assert told["command"] == ["x", "y"]
    assert (told["stop_signal"], told["stop_timeout"]) == ("INT", "none")
    assert told["success_exit"] == [0, 75, "SIGTERM"]
    assert told["backoff.initial"] == "1s500ms"
    assert (told["log.max_size"], told["log.stderr"]) == ("1M", "separate")
    assert (told["umask"], told["group_id"], told["stdin"]) == ("027", "staff", "null")
    assert told["limits.cpu"] == "150%"
    assert (told["limits.core"], told["limits.cpu_time"], told["limits.memory"]) == ("unlimited", "1m30s", None)
    assert "every" not in told
    assert shown("env.TOKEN", told["env.TOKEN"]) == "(hidden)"
    assert spelled(job('command = "x"\nbackoff = "none"\nlog = "null"'))["backoff"] == "none"
