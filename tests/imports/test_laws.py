"""Whatever a file says, it becomes a manifest that holds, or a sentence: never a traceback, never a refused key."""

from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st
from imported import imported

from supervisor.errors import JobvisorError
from supervisor.imports.conversion import Kind

PHRASES = ["", "a b", "1min 30s", "/bin/x 'a", "$A ${B}", "%(here)s %(x)d", "A=1 B", 'A="x']
WORDS = """
    0 1 -1 5 x 5s infinity true no always %n 100% SIGINT NOSUCH daily *:0/0 *:*:0/0 99:99 Mon..Fri 1..0 *-*-0 ~1 1M 1MB
    022 999 root:x file: @reboot NONE AUTO -/etc/x @a 1.5 ٣ Europe/Berlin ../x
"""
VALUES = st.sampled_from([*PHRASES, *WORDS.split()])


def lines(names: str) -> st.SearchStrategy[str]:
    assignments = st.tuples(st.sampled_from(names.split()), VALUES).map("=".join)
    return st.lists(assignments, max_size=8).map("\n".join)


SUPERVISORD = lines(
    """
    command numprocs numprocs_start autorestart autostart startsecs exitcodes stopsignal user stopwaitsecs
    umask directory environment priority stdout_logfile stdout_logfile_maxbytes stdout_logfile_backups
    redirect_stderr stderr_logfile process_name unheard_of
    """
)
SERVICE = lines(
    """
    Type ExecStart ExecStartPre Restart RestartSec RestartSteps RestartMaxDelaySec KillSignal
    StartLimitBurst StartLimitInterval SuccessExitStatus TimeoutStopSec TimeoutStartSec TimeoutSec
    RuntimeMaxSec WatchdogSec Environment WorkingDirectory User Group UMask Nice LimitNOFILE LimitCORE
    LimitCPU MemoryMax StandardOutput StandardInput UnheardOf
    """
)
TIMER = lines(
    """
    OnCalendar OnUnitActiveSec OnUnitInactiveSec OnBootSec OnActiveSec RandomizedDelaySec Persistent
    """
)
FIELDS = st.sampled_from(["*", "*/5", "0", "1-5", "7", "61", "mon", "L", "?", "1-", "5-1"])
CRONTAB = st.lists(
    st.one_of(
        st.tuples(FIELDS, FIELDS, FIELDS, FIELDS, FIELDS, VALUES).map(" ".join),
        st.tuples(
            st.sampled_from(["@daily", "@reboot", "@noon", "PATH=", "CRON_TZ=", "RANDOM_DELAY=", "#"]), VALUES
        ).map(" ".join),
        st.text(max_size=20),
    ),
    max_size=6,
).map("\n".join)


@given(CRONTAB, st.booleans())
def test_any_crontab(text: str, system: bool) -> None:  # noqa: FBT001  # drawn
    imported(text, kind=Kind.SYSTEM_CRONTAB if system else Kind.CRONTAB)


@given(SUPERVISORD, SUPERVISORD)
def test_any_supervisord_conf(one: str, other: str) -> None:
    with suppress(JobvisorError):
        imported(f"[supervisord]\n{other}\n[program:a]\n{one}\n[program:b]\n{other}\n[group:g]\nprograms=a,b\n")


@given(SERVICE)
def test_any_service(text: str) -> None:
    imported(f"[Unit]\n{text}\n[Service]\n{text}\n", "a.service", kind=Kind.SYSTEMD)


@given(TIMER, SERVICE)
def test_any_timer(text: str, service: str) -> None:
    imported(f"[Timer]\n{text}\n", "a.timer", kind=Kind.SYSTEMD, files={"a.service": f"[Service]\n{service}\n"})


@given(st.text())
def test_any_text_of_any_kind(text: str) -> None:
    for kind in Kind:
        with suppress(JobvisorError):
            imported(text, kind=kind)
