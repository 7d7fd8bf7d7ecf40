"""What a fork server is started with."""

from supervisor.engine.briefing import base_environ


def test_the_supervisors_own_variables_are_taken_out() -> None:
    environ = {
        "NOTIFY_SOCKET": "",
        "WATCHDOG_PID": "",
        "WATCHDOG_USEC": "",
        "JOURNAL_STREAM": "",
        "LISTEN_FDS": "",
        "LISTEN_PID": "",
        "LISTEN_FDNAMES": "",
        "LISTEN_PIDFDID": "",
        "JOBVISOR_JOB": "outer",
        "JOBVISOR_DUE": "then",
        "JOBVISOR_FD": "3",
        "HOME": "/root",
        "JOBVISOR_SOCKET": "/run/control.sock",
    }
    base = base_environ(environ)
    assert base.keys() == {"HOME", "JOBVISOR_SOCKET", "PYTHONUNBUFFERED", "PATH"}


def test_pythonunbuffered_is_1_unless_it_is_set() -> None:
    assert base_environ({})["PYTHONUNBUFFERED"] == "1"
    assert base_environ({"PYTHONUNBUFFERED": ""})["PYTHONUNBUFFERED"] == ""
