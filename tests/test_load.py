import os
from datetime import timedelta
from pathlib import Path

import pytest

from supervisor.core.manifest import Manifest
from supervisor.core.schedule import Cron, zone_name
from supervisor.errors import ManifestError
from supervisor.load import load

JOB = '[jobs.one]\ncommand = "x"\n'


def write(folder: Path, **files: str) -> Path:
    """Write files (``jobs_d__a_toml`` is jobs.d/a.toml) and return the manifest's path."""
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder / "jobs.toml"


def problems(path: Path, **environ: str) -> list[str]:
    with pytest.raises(ManifestError) as refused:
        load(path, environ)
    assert str(refused.value) == "\n".join(refused.value.problems)
    return list(refused.value.problems)


def names(made: Manifest) -> list[str]:
    return [job.name for job in made.jobs]


def test_paths_begin_at_the_manifests_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        tmp_path,
        jobs_toml='[supervisor]\npythonpath = ["src"]\nlog_dir = "../logs"\n'
        + JOB
        + 'cwd = "work"\nenv_file = "a.env"',
        a_env="\ufeffA=1\r\nB='é'\r\n",
    )
    monkeypatch.chdir("/")
    made = load(Path(os.path.relpath(tmp_path, "/")) / "jobs.toml", {})
    assert (made.path, made.folder) == (str(tmp_path / "jobs.toml"), str(tmp_path))
    assert made.settings.pythonpath == (str(tmp_path / "src"),)
    assert made.settings.log_dir == str(tmp_path.parent / "logs")
    assert made.settings.state_dir == str(tmp_path / ".jobvisor")
    (job,) = made.jobs
    assert job.process.cwd == str(tmp_path / "work")
    assert job.process.env == {"A": "1", "B": "é"}
    assert job.where == "jobs.toml:4"


def test_the_folders_that_systemd_made_are_the_defaults_and_of_several_the_first(tmp_path: Path) -> None:
    path = write(tmp_path, jobs_toml=JOB)
    made = load(
        path,
        {
            "STATE_DIRECTORY": "/var/lib/a:/var/lib/b",
            "LOGS_DIRECTORY": "/var/log/a:/var/log/b",
            "RUNTIME_DIRECTORY": "/run/a",
        },
    )
    assert made.settings.state_dir == "/var/lib/a"
    assert made.settings.log_dir == "/var/log/a"
    assert made.settings.socket == "/run/a/control.sock"


def test_local_is_the_zone_that_the_environment_tells(tmp_path: Path) -> None:
    path = write(tmp_path, jobs_toml=f'{JOB}cron = "0 2 * * *"\ntimezone = "local"')
    (job,) = load(path, {"TZ": "Asia/Tokyo"}).jobs
    assert isinstance(job.schedule, Cron)
    assert zone_name(job.schedule.zone) == "Asia/Tokyo"


def test_a_local_zone_that_there_is_not_is_a_problem_of_the_job(tmp_path: Path) -> None:
    path = write(tmp_path, jobs_toml=f'{JOB}cron = "0 2 * * *"\ntimezone = "local"')
    (told,) = problems(path, TZ="Mars/Base")
    assert told.startswith("jobs.toml:4: jobs.one.timezone: ")
    assert "Mars/Base" in told


# -- include -----------------------------------------------------------------------------------------------------------


def test_included_files_follow_sorted_and_each_once(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        jobs_toml='include = ["jobs.d/*.toml", "*.toml", "a.toml", "none.d/*.toml"]\n' + JOB,
        jobs_d__z_toml='[jobs.z]\ncommand = "x"',
        jobs_d__b_toml='[jobs.b]\ncommand = "x"',
        a_toml='[jobs.a]\ncommand = "x"',
    )
    (tmp_path / "jobs.d" / ".hidden.toml").write_text("not toml")
    (tmp_path / "jobs.d" / "folder.toml").mkdir()
    made = load(path, {})
    assert names(made) == ["one", "a", "b", "z"]
    assert [job.where for job in made.jobs[1:]] == ["a.toml:1", "jobs.d/b.toml:1", "jobs.d/z.toml:1"]


def test_a_pattern_may_be_absolute_and_span_folders(tmp_path: Path) -> None:
    path = write(
        tmp_path, jobs_toml=f'include = ["{tmp_path}/**/[ab].toml"]\n' + JOB, d__a_toml='[jobs.a]\ncommand = "x"'
    )
    assert names(load(path, {})) == ["one", "a"]


def test_a_file_whose_name_looks_like_a_pattern_is_meant_literally(tmp_path: Path) -> None:
    path = write(tmp_path, jobs_toml='include = ["a[1].toml"]\n' + JOB)
    (tmp_path / "a[1].toml").write_text('[jobs.a]\ncommand = "x"')
    assert names(load(path, {})) == ["one", "a"]


def test_a_path_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    path = write(tmp_path, jobs_toml=f'include = [\n  "jobs.d/*.toml",\n  "more.toml",\n]\n{JOB}')
    assert problems(path) == [
        f'jobs.toml:3: include[1]: found "more.toml"; expected a file, and there is none at {tmp_path}/more.toml'
    ]


def test_a_name_in_two_files_is_told_with_both_places(tmp_path: Path) -> None:
    path = write(tmp_path, jobs_toml=f'include = ["jobs.d/*"]\n{JOB}', jobs_d__a_toml=f"\n\n{JOB}", jobs_d__b_toml=JOB)
    assert problems(path) == [
        "jobs.d/a.toml:3: jobs.one: the name is given twice; the other job is at jobs.toml:2",
        "jobs.d/b.toml:1: jobs.one: the name is given twice; the other job is at jobs.toml:2",
    ]


# -- files that cannot be read -----------------------------------------------------------------------------------------


def test_without_a_manifest_the_error_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "jobs.toml"
    assert problems(path) == [
        f"cannot read {path}: No such file or directory; write one with `jobvisor init`",
    ]


def test_a_folder_is_no_manifest(tmp_path: Path) -> None:
    assert problems(tmp_path) == [f"cannot read {tmp_path}: Is a directory"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[jobs.a]\nevery = "5m\n', "jobs.toml:2: not TOML: "),
        ("[jobs.a]\n[jobs.b]\n\n[jobs.a]\n", "jobs.toml:4: not TOML: "),
        ("a = [1,\n2,\n\n", "jobs.toml:2: not TOML: "),
        ("a = 1\nb = " + "9" * 5000, "jobs.toml:2: not TOML: "),
        ("a = " + "[" * 5000 + "]" * 5000, "jobs.toml:1: not TOML that can be read: nested too deeply"),
    ],
)
def test_broken_toml_is_told_with_its_line_and_what_the_reader_says(tmp_path: Path, text: str, told: str) -> None:
    (only,) = problems(write(tmp_path, jobs_toml=text))
    assert only.startswith(told)


def test_what_is_not_utf_8_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "jobs.toml"
    path.write_bytes(b'[jobs.a]\ncommand = "x"\ndescription = "\xe9"\n')
    assert problems(path) == ["jobs.toml:3: not UTF-8 text"]


def test_a_byte_order_mark_and_line_ends_of_windows_are_read(tmp_path: Path) -> None:
    path = tmp_path / "jobs.toml"
    path.write_bytes(b'\xef\xbb\xbf[jobs.a]\r\ncommand = "x"\r\nevery = "1m"\r\n')
    assert load(path, {}).jobs[0].where == "jobs.toml:1"


def test_a_broken_included_file_does_not_hide_what_is_wrong_with_the_others(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        jobs_toml=f'include = ["jobs.d/*.toml", "gone.toml"]\n{JOB}\nevry = "5m"\n',
        jobs_d__a_toml="[jobs.a\n",
        jobs_d__b_toml='[jobs.b]\ncommand = "x"\nnice = 30\n',
    )
    told = problems(path)
    assert [line.partition(": ")[0] for line in told] == [
        "jobs.toml:1",
        "jobs.toml:5",
        "jobs.d/a.toml:1",
        "jobs.d/b.toml:3",
    ]


def test_a_file_of_variables_that_cannot_be_read_is_told_where_it_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, jobs_toml=f'{JOB}env_file = "bad.env"\n')
    (tmp_path / "bad.env").write_bytes(b"A=1\nB=\xff\n")
    assert problems(path) == [f"jobs.toml:3: jobs.one.env_file: {tmp_path}/bad.env:2: not UTF-8 text"]
    (tmp_path / "bad.env").unlink()
    assert problems(path) == [
        f"jobs.toml:3: jobs.one.env_file: cannot read {tmp_path}/bad.env: No such file or directory"
    ]


# -- the whole ---------------------------------------------------------------------------------------------------------


def test_the_shipped_manifest_holds_without_a_warning() -> None:
    made = load(Path(__file__).parents[1] / "jobs.toml", {})
    assert made.jobs
    assert made.warnings == ()


def test_a_mistake_is_told_as_the_contract_shows_it(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        jobs_toml="""\
# The jobs of the application.

[supervisor]
preload = []

[jobs.clean]
command = ["clean", \"\"\"
every = "not a key"
\"\"\"]

[jobs.backup]
every = "5x"
command = "backup"
evry = "5m"
""",
    )
    assert problems(path) == [
        'jobs.toml:12: jobs.backup.every: "5x" is not a duration: unknown unit "x"; expected e.g. "90s", "5m", "1h30m"',
        'jobs.toml:14: jobs.backup.evry: unknown key; did you mean "every"?',
    ]


def test_two_loads_of_one_text_are_equal_so_that_a_reload_changes_nothing(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        jobs_toml="""\
[defaults]
env_file = "a.env"
[jobs.a]
run = "a:b"
args = [1.5, {x = []}]
cron = "@daily"
timezone = "Europe/Berlin"
[jobs.b]
command = "x"
at = 2026-12-01T10:00:00
""",
        a_env="A=1",
    )
    assert load(path, {}) == load(path, {})


def test_every_setting_of_time_is_a_timedelta(tmp_path: Path) -> None:
    made = load(write(tmp_path, jobs_toml=JOB), {}).settings
    assert all(isinstance(each, timedelta) for each in (made.vitals, made.stop_timeout, made.history_keep))
