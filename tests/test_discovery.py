import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from supervisor.discovery import as_in_the_unit, folder_here, lenient_paths, locate, manifest_id, sockets, unit_id
from supervisor.errors import JobvisorError, ManifestError
from supervisor.load import load


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "app" / "jobs.toml"
    path.parent.mkdir()
    path.write_text("")
    return path


def write(manifest: Path, text: str) -> str:
    manifest.write_text(text)
    return str(manifest)


def candidates(manifest: Path, named: str | None = None, **environ: str) -> list[str]:
    return list(sockets(named, str(manifest), environ))


# -- the manifest ------------------------------------------------------------------------------------------------------


def test_a_named_manifest_wins_over_the_environment_and_that_over_the_nearest(manifest: Path, tmp_path: Path) -> None:
    folder, environ = str(manifest.parent), {"JOBVISOR_MANIFEST": "env.toml"}
    assert locate("x/../other.toml", environ, folder) == f"{folder}/other.toml"
    assert locate("/abs.toml", environ, folder) == "/abs.toml"
    assert locate(None, environ, folder) == f"{folder}/env.toml"
    assert locate(None, {}, folder) == str(manifest)
    assert locate("app", {}, str(tmp_path)) == str(manifest)


def test_the_nearest_manifest_is_in_the_folder_or_above_it(manifest: Path) -> None:
    below = manifest.parent / "a" / "b"
    below.mkdir(parents=True)
    assert locate(None, {}, str(below)) == str(manifest)
    nearer = below.parent / "jobs.toml"
    nearer.mkdir()
    assert locate(None, {}, str(below)) == str(manifest)
    nearer.rmdir()
    nearer.write_text("")
    assert locate(None, {}, str(below)) == str(nearer)


def test_without_a_manifest_anywhere_the_error_says_where_was_looked_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(JobvisorError) as refused:
        locate(None, {"JOBVISOR_MANIFEST": ""}, str(tmp_path))
    assert str(refused.value) == (
        f"no jobs.toml in {tmp_path} or any folder above it; name one with -f, or write one with `jobvisor init`"
    )


def test_a_manifest_has_one_id_by_whatever_path(manifest: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(manifest.parent)
    ident = manifest_id(str(manifest))
    assert manifest_id(str(link / "jobs.toml")) == manifest_id(f"{tmp_path}/app/../app/jobs.toml") == ident
    assert manifest_id(str(tmp_path / "jobs.toml")) != ident


def test_a_unit_has_one_id_whatever_release_a_link_is_set_to(manifest: Path, tmp_path: Path) -> None:
    link = tmp_path / "current"
    link.symlink_to(manifest.parent)
    ident = unit_id(str(link / "jobs.toml"))
    assert ident != manifest_id(str(link / "jobs.toml"))
    assert unit_id(str(manifest)) == manifest_id(str(manifest))
    link.unlink()
    link.symlink_to(tmp_path)
    assert unit_id(f"{tmp_path}/app/../current/jobs.toml") == ident


def test_a_client_looks_in_the_folders_of_both_ids(manifest: Path, tmp_path: Path) -> None:
    link = tmp_path / "current"
    link.symlink_to(manifest.parent)
    linked = link / "jobs.toml"
    idents = (manifest_id(str(linked)), unit_id(str(linked)))
    assert candidates(linked, XDG_RUNTIME_DIR="/run/user/7") == [
        *(f"/run/jobvisor/{ident}/control.sock" for ident in idents),
        *(f"/run/user/7/jobvisor/{ident}/control.sock" for ident in idents),
        f"{link}/.jobvisor/control.sock",
    ]
    environ = {"XDG_STATE_HOME": str(tmp_path / "state")}
    (tmp_path / "state" / "jobvisor" / idents[1]).mkdir(parents=True)
    assert as_in_the_unit(str(linked), environ)["STATE_DIRECTORY"] == f"{tmp_path}/state/jobvisor/{idents[1]}"


def test_the_folder_is_named_as_the_shell_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    link = tmp_path / "current"
    link.symlink_to(tmp_path)
    monkeypatch.chdir(link)
    assert folder_here({"PWD": str(link)}) == str(link)
    for other in ("", "current", str(tmp_path / "gone"), "/"):
        assert folder_here({"PWD": other}) == str(tmp_path)


def test_an_id_is_the_same_in_every_process_and_version() -> None:
    assert manifest_id("/a") == "07d66707b49cd92d"  # FNV-1a of 64 bits


# -- the socket --------------------------------------------------------------------------------------------------------


def test_the_candidates_stand_in_the_order_of_their_likelihood(manifest: Path) -> None:
    folder, ident = manifest.parent, manifest_id(str(manifest))
    write(manifest, '[supervisor]\nsocket = "run/c.sock"\nstate_dir = "state"\n')
    assert candidates(manifest, XDG_RUNTIME_DIR="/run/user/7") == [
        f"{folder}/run/c.sock",
        f"/run/jobvisor/{ident}/control.sock",
        f"/run/user/7/jobvisor/{ident}/control.sock",
        f"{folder}/state/control.sock",
    ]
    write(manifest, "")
    assert candidates(manifest) == [f"/run/jobvisor/{ident}/control.sock", f"{folder}/.jobvisor/control.sock"]


def test_a_named_socket_is_the_only_candidate_and_needs_no_manifest() -> None:
    assert list(sockets("/x.sock", "", {"JOBVISOR_SOCKET": "/y.sock"})) == ["/x.sock"]
    assert list(sockets(None, "", {"JOBVISOR_SOCKET": "/y.sock"})) == ["/y.sock"]


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ("", {}),
        ("", {"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}),
        ("", {"STATE_DIRECTORY": "/var/lib/a", "RUNTIME_DIRECTORY": "/run/a:/run/b"}),
        ('[supervisor]\nstate_dir = "s"', {"RUNTIME_DIRECTORY": "/run/a"}),
        ('[supervisor]\nsocket = "../c.sock" # "x"', {"RUNTIME_DIRECTORY": "/run/a"}),
        ("[ supervisor ] # here\n  state_dir='a \"b\" # c'  # d\n", {}),
        ('["supervisor"]\n"socket" = "\\u00e9\\\\ \\"q\\" = 1"', {}),
        ('supervisor.socket = "/a"\nsupervisor.state_dir = "/b"\n', {}),
        ('[jobs.x]\nkwargs.socket = "/no"\nrun = "a:b"\n[supervisor]\nsocket = "/yes"\n[jobs.y]\nrun = "a:b"\n', {}),
        ("\ufeff[supervisor]\nstate_dir = '/b'\n", {}),
    ],
)
def test_a_client_looks_where_the_supervisor_listens(manifest: Path, text: str, environ: Mapping[str, str]) -> None:
    path = write(manifest, text)
    made = load(manifest, environ).settings
    assert made.socket in candidates(manifest, **environ)
    assert lenient_paths(path, environ)[0] == made.state_dir


@pytest.mark.parametrize(
    "text",
    [
        '[supervisor]\nsocket = "/c.sock"\nstate_dir = "/s"\n[jobs.x\nevery = "5m',
        '[jobs.x]\nevery = "5m\n[supervisor]\nsocket = "/c.sock"\nnonsense\nstate_dir = "/s"\nstate_dir = ',
        '[jobs.x]\nsocket = "/no"\n[supervisor]\nsocket = "/c.sock"\nstate_dir = "/s"\n[jobs.y]\nstate_dir = "/no"',
        '= = =\n[supervisor]\nstate_dir = 3\nstate_dir = "/s"\nsocket = "\nsocket = "/c.sock"',
    ],
)
def test_a_broken_manifest_hides_no_running_supervisor(manifest: Path, text: str) -> None:
    assert lenient_paths(write(manifest, text), {})[:2] == ("/s", "/c.sock")
    with pytest.raises(ManifestError):
        load(manifest, {})


def test_neither_bytes_that_are_no_text_nor_a_missing_file_hide_it(manifest: Path) -> None:
    manifest.write_bytes(b'\xff\xfe\n[supervisor]\nstate_dir = "/s"\n')
    assert lenient_paths(str(manifest), {}) == ("/s", None, "/s/logs")
    manifest.unlink()
    assert lenient_paths(str(manifest), {"STATE_DIRECTORY": "/x"}) == ("/x", None, "/x/logs")


def test_a_client_pays_for_no_heavy_library() -> None:
    code = "import sys; import supervisor.discovery; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"loguru", "asyncio", "click", "psutil", "tomllib", "pathlib", "hashlib", "sqlite3", "dataclasses"}
    assert not heavy & set(done.stdout.split())
