"""The unit file: what it says for whom, and that systemd finds nothing wrong with it."""

import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from shell import Shell

from supervisor import discovery
from supervisor.systemd.unit import Unit

PROGRAM = f"{sys.prefix}/bin/jobvisor"


def unit(**changed: Any) -> Unit:
    given: dict[str, Any] = {
        "manifest": "/srv/app/jobs.toml",
        "ident": "0123456789abcdef",
        "program": ("/bin/true",),
        "python": ("/usr",),
        "stop_timeout": timedelta(seconds=30),
        "account": "www-data",
        "home": "/var/www",
    }
    return Unit(**given | changed)


def lines(**changed: Any) -> list[str]:
    return unit(**changed).text().splitlines()


def test_its_choices_are_explained_in_lines_that_fit_a_screen() -> None:
    blocks = unit().text().split("\n#")
    assert len(blocks) > 20
    assert all(len(line) <= 120 for line in lines())


def test_a_systemd_that_knows_notify_reload_gets_it() -> None:
    assert {"Type=notify", "ExecReload=/bin/true -f /srv/app/jobs.toml reload"} <= set(lines(version=252))
    assert "Type=notify-reload" in lines(version=253)
    assert not [line for line in lines(version=253) if line.startswith(("ExecReload", "RestartSteps"))]
    assert "RestartSteps=6" in lines(version=254)


def test_a_stop_has_the_time_that_the_manifest_gives_it_and_some_for_the_rest() -> None:
    assert "TimeoutStopSec=106" in lines(stop_timeout=timedelta(minutes=1, seconds=30, milliseconds=1))


def test_folders_have_the_name_under_which_clients_look() -> None:
    assert {f"{kind}Directory=jobvisor/0123456789abcdef" for kind in ("State", "Logs", "Runtime")} <= set(lines())


def test_paths_mean_to_systemd_what_they_are() -> None:
    found = lines(manifest='/srv/my "app" 100%/$x/jobs.toml')
    assert 'ExecStart=/bin/true -f "/srv/my \\"app\\" 100%%/$$x/jobs.toml" run' in found
    assert 'WorkingDirectory=/srv/my "app" 100%%/$x' in found


def test_an_account_has_none_of_roots_powers_and_root_keeps_those_that_start_jobs_as_others() -> None:
    assert {"User=www-data", "CapabilityBoundingSet="} <= set(lines())
    of_root = lines(account=None)
    assert not [line for line in of_root if line.startswith("User=")]
    assert not any(f"CAP_{name}" in line for line in of_root for name in ("SETUID", "SETGID", "KILL", "CHOWN"))


@pytest.mark.parametrize(
    ("changed", "home"),
    [
        ({}, "yes"),
        ({"manifest": "/home/ada/app/jobs.toml"}, "no"),
        ({"python": ("/home/ada/venv", "/usr")}, "no"),
        ({"home": "/home/ada"}, "no"),
        ({"account": None, "home": None}, "no"),
    ],
)
def test_homes_are_hidden_where_nothing_of_ours_is_in_one(changed: dict[str, Any], home: str) -> None:
    assert f"ProtectHome={home}" in lines(**changed)


def test_an_application_in_a_temporary_or_a_system_folder_can_work_there() -> None:
    assert "PrivateTmp=yes" in lines()
    assert "PrivateTmp=no" in lines(manifest="/var/tmp/app/jobs.toml")  # noqa: S108  # nothing is written there
    assert 'ReadWritePaths="/etc/my jobs"' in lines(manifest="/etc/my jobs/jobs.toml")


@pytest.mark.parametrize("kind", ["read", "written"])
def test_what_the_manifest_names_stays_in_reach(kind: str) -> None:
    assert "ProtectHome=no" in lines(**{kind: ("/home/ada/models",)})
    assert "PrivateTmp=no" in lines(**{kind: ("/tmp/app",)})  # noqa: S108  # nothing is written there
    named = lines(**{kind: ("/srv/other", "/usr/local/app")})
    assert {"ProtectHome=yes", "PrivateTmp=yes"} <= set(named)
    assert ("ReadWritePaths=/usr/local/app" in named) is (kind == "written")


def test_a_users_own_unit_asks_for_nothing_that_needs_root() -> None:
    found = lines(of_user=True, account=None)
    needs_root = ("User=", "Private", "Protect", "CapabilityBoundingSet", "After=network")
    assert not [line for line in found if line.startswith(needs_root)]
    assert found[-1] == "WantedBy=default.target"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
@pytest.mark.parametrize("changed", [{}, {"account": None}, {"manifest": '/srv/my "app" 100%/jobs.toml'}])
def test_systemd_finds_nothing_to_say(changed: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / unit(**changed).name
    path.write_text(unit(**changed).text().replace("WorkingDirectory=", "WorkingDirectory=-"))
    done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


# -- the command -------------------------------------------------------------------------------------------------------

MANIFEST = '[jobs.a]\ncommand = ["true"]\n'


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    made = Shell(tmp_path / "my app")
    made.folder.mkdir()
    made.environ |= {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    made.write(MANIFEST)
    return made


def test_prints_the_unit_of_this_manifest_and_this_program(shell: Shell) -> None:
    done = shell("systemd")
    manifest = shell.folder / "jobs.toml"
    assert done.returncode == 0
    assert f'ExecStart={PROGRAM} -f "{manifest}" run' in done.stdout.splitlines()
    assert f"RuntimeDirectory=jobvisor/{discovery.manifest_id(str(manifest))}" in done.stdout.splitlines()


def test_a_manifest_behind_a_link_keeps_the_names_of_its_folders(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(shell.folder)
    said = shell("-f", str(tmp_path / "current" / "jobs.toml"), "systemd").stdout
    assert f"RuntimeDirectory=jobvisor/{discovery.unit_id(f'{tmp_path}/current/jobs.toml')}\n" in said
    assert "has a symbolic link in it" in said
    assert "has a symbolic link in it" not in shell("systemd").stdout


def test_runs_as_the_owner_of_the_manifest_unless_jobs_have_users_of_their_own(shell: Shell) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give a file away")
    os.chown(shell.folder / "jobs.toml", 2, 2)
    assert "User=bin" in shell("systemd").stdout.splitlines()
    assert "User=bin" not in shell("systemd", "--user").stdout.splitlines()
    shell.write(MANIFEST + 'user = "daemon"\n')
    assert "User=bin" not in shell("systemd").stdout.splitlines()


def test_reads_in_the_manifest_what_has_to_stay_in_reach(shell: Shell) -> None:
    # the tests' own folder may be a temporary one: that cannot show here
    shell.write('[supervisor]\nstate_dir = "/usr/lib/app/state"\nsocket = "/etc/app/c.sock"\n' + MANIFEST)
    assert "ReadWritePaths=/usr/lib/app/state /usr/lib/app/state/logs /etc/app" in shell("systemd").stdout.splitlines()


def test_refuses_a_bad_manifest(shell: Shell) -> None:
    shell.write("[jobs.a]\n")
    done = shell("systemd")
    assert (done.returncode, done.stdout) == (1, "")
    assert "jobs.toml:1" in done.stderr


def test_installs_a_users_unit_again_and_again_but_over_no_other(shell: Shell, tmp_path: Path) -> None:
    path = tmp_path / "config" / "systemd" / "user" / "jobvisor-my-app.service"
    for _ in range(2):
        done = shell("systemd", "--user", "--install")
        assert done.returncode == 0
        assert done.stdout.splitlines() == [
            f"wrote {path}",
            f"start it, now and at each boot: systemctl --user enable --now {path.name}",
        ]
    assert path.read_text() == shell("systemd", "--user").stdout
    path.write_text("# mine\n")
    done = shell("systemd", "--user", "--install")
    assert done.returncode == 1
    assert f"{path} is there, and not written for" in done.stderr
    assert path.read_text() == "# mine\n"
    assert shell("systemd", "--user", "--install", "--name", "other").returncode == 0
    assert path.with_name("other.service").exists()


def test_without_a_supervisor_clients_read_where_the_unit_of_the_manifest_writes(tmp_path: Path) -> None:
    manifest = str(tmp_path / "jobs.toml")
    environ = {"XDG_STATE_HOME": str(tmp_path / "state"), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    assert discovery.as_in_the_unit(manifest, environ) == environ
    name = f"jobvisor/{discovery.manifest_id(manifest)}"
    (tmp_path / "state" / name).mkdir(parents=True)
    assert discovery.as_in_the_unit(manifest, environ) == environ | {
        "STATE_DIRECTORY": f"{tmp_path}/state/{name}",
        "LOGS_DIRECTORY": f"{tmp_path}/state/log/{name}",
    }
    given = environ | {"STATE_DIRECTORY": "/elsewhere"}
    assert discovery.as_in_the_unit(manifest, given) == given
