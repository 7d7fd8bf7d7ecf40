import pytest
from imported import Imported, imported, origin

from supervisor.core.notifier import On, Program
from supervisor.imports.conversion import Kind, kind_of


def crontab(text: str, *, system: bool = False) -> Imported:
    return imported(text, kind=Kind.SYSTEM_CRONTAB if system else Kind.CRONTAB)


def test_five_fields_and_the_rest_of_the_line_are_a_job() -> None:
    assert crontab("0 5 * * 1\ttar -zcf /var/backups/home.tgz /home/\n").job == {
        "cron": "0 5 * * 1",
        "command": ["tar", "-zcf", "/var/backups/home.tgz", "/home/"],
    }


@pytest.mark.parametrize(
    "command", ["cd /srv && make", "a | b", "echo $HOME", "echo 'x y'", "ls *.py", "X=1 program", "a > /dev/null 2>&1"]
)
def test_what_a_shell_would_read_otherwise_is_run_by_a_shell(command: str) -> None:
    assert crontab(f"@daily {command}").job == {"cron": "@daily", "command": command, "shell": True}


def test_an_alias_is_kept_and_reboot_has_no_time_zone() -> None:
    assert crontab("@reboot program").document == {"jobs": {"program": {"command": "program", "cron": "@reboot"}}}


def test_times_are_those_of_the_system() -> None:
    assert crontab("0 5 * * * x").document["supervisor"] == {"timezone": "local"}


def test_variables_count_for_the_lines_below() -> None:
    jobs = crontab("0 5 * * * a\nLANG = \"C.UTF-8\"\nX='a b'\n0 6 * * * b\nX=\n0 7 * * * c").jobs
    assert [job.get("env") for job in jobs.values()] == [
        None,
        {"LANG": "C.UTF-8", "X": "a b"},
        {"LANG": "C.UTF-8", "X": ""},
    ]


def test_variables_that_all_have_stand_once() -> None:
    made = crontab("PATH=/bin\n0 5 * * * a\n0 6 * * * b")
    assert made.document["defaults"] == {"env": {"PATH": "/bin"}}
    assert all("env" not in job for job in made.jobs.values())


def test_mailto_is_told_with_its_line_and_what_there_is_instead() -> None:
    (note,) = crontab("# mail\nMAILTO=ada\n0 5 * * * a").notes_of("MAILTO")
    assert note.startswith("line 2, MAILTO=ada: output goes to the job's log (`jobvisor logs`); what is mailed")
    (note,) = crontab("0 5 * * * a").notes_of("cron mails")
    assert "a [notify.NAME] tells people" in note


def test_mailto_becomes_a_notifier_of_the_jobs_below_it() -> None:
    made = crontab(
        "0 1 * * * a\nMAILTO=ada@example.org\n0 2 * * * b\nMAILTO=bob,eve\n0 3 * * * c\n"
        'MAILTO=""\n0 4 * * * d\nMAILTO=ada@example.org\n0 5 * * * e'
    )
    assert {name: job.get("notify") for name, job in made.jobs.items()} == {
        "a": None,
        "b": ["mail"],
        "c": ["mail-2"],
        "d": None,
        "e": ["mail"],
    }
    notifiers = {each.name: each for each in made.manifest.notifiers}
    assert notifiers["mail"].to == Program(argv=("mail", "-s", "a job of Jobvisor", "ada@example.org"))
    assert notifiers["mail-2"].to == Program(argv=("mail", "-s", "a job of Jobvisor", "bob", "eve"))
    assert notifiers["mail"].on == {On.FAILURE, On.RECOVERY}


def test_a_notifier_that_all_have_stands_once() -> None:
    made = crontab("MAILTO=ada\n0 5 * * * a\n0 6 * * * b")
    assert made.document["defaults"]["notify"] == ["mail"]
    assert not made.notes_of("cron mails")


def test_cron_tz_and_random_delay_of_cronie_are_kept() -> None:
    jobs = crontab("0 1 * * * a\nCRON_TZ=Asia/Tokyo\nRANDOM_DELAY=10\n0 2 * * * b").jobs
    assert jobs["a"].keys() == {"cron", "command"}
    assert (jobs["b"]["timezone"], jobs["b"]["jitter"]) == ("Asia/Tokyo", "10m")


def test_a_percent_sign_begins_the_standard_input_and_ends_its_lines() -> None:
    command = crontab(r"0 5 * * * mail -s '100\%' joe%Dear Joe,%%pay 5\%").job["command"]
    assert command == "{ mail -s '100%' joe\n} <<'END_OF_INPUT'\nDear Joe,\n\npay 5%\nEND_OF_INPUT\n"
    assert crontab("0 5 * * * mail joe%one%two%").job["command"].endswith("\none\ntwo\nEND_OF_INPUT\n")


def test_another_shell_is_kept() -> None:
    assert crontab("SHELL=/bin/bash\n0 5 * * * a  b").job["command"] == ["/bin/bash", "-c", "a  b"]


def test_home_is_the_working_folder() -> None:
    assert crontab("HOME=/srv/app\n0 5 * * * a").job["cwd"] == "/srv/app"


def test_the_system_form_has_a_user() -> None:
    made = crontab("17 * * * * root cd / && run-parts --report /etc/cron.hourly", system=True)
    assert made.jobs["cron-hourly"]["user"] == "root"
    assert made.notes_of("runs as root")
    assert made.jobs["cron-hourly"]["command"] == "cd / && run-parts --report /etc/cron.hourly"


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("/usr/local/bin/backup.sh --full", "backup"),
        ("cd /srv && ./venv/bin/python3.11 -u manage.py clear", "manage"),
        ("test -x /usr/bin/x && nice -n 19 /usr/bin/x", "x"),
        ("LANG=C sh /srv/a.b.sh", "a-b"),
        ("[ -f 'x", "job"),
        ("/opt/ümläut", "ml-ut"),
    ],
)
def test_a_job_is_called_by_its_program(command: str, name: str) -> None:
    assert list(crontab(f"0 5 * * * {command}").jobs) == [name]


def test_names_are_told_apart_by_number() -> None:
    assert list(crontab("0 1 * * * a\n0 2 * * * a\n0 3 * * * a").jobs) == ["a", "a-2", "a-3"]


def test_a_line_that_cron_would_take_and_jobvisor_not_is_told_with_its_number() -> None:
    made = crontab("0 0 31 2 * never\n0 5 * * * a\nbogus line\n")
    assert list(made.jobs) == ["a"]
    assert made.notes_of("line 1, 0 0 31 2 *: never comes")
    assert made.notes_of("left out")
    assert made.notes_of("line 3: neither a variable nor an entry: bogus line")


def test_what_differs_from_cron_is_told() -> None:
    made = crontab("0 5 * * * a")
    assert made.notes_of('overlap = "allow"')
    assert made.notes_of('missed = "skip"')
    assert made.notes_of("home folder")


@pytest.mark.parametrize(
    ("path", "text", "kind"),
    [
        ("/etc/crontab", "0 5 * * * root a", Kind.SYSTEM_CRONTAB),
        ("/etc/cron.d/php", "0 5 * * * nobody a", Kind.SYSTEM_CRONTAB),
        ("crontab", "# m h dom mon dow user\tcommand\n0 5 * * * bob a", Kind.SYSTEM_CRONTAB),
        ("-", "0 5 * * * root a\n@daily www-data b", Kind.SYSTEM_CRONTAB),
        ("-", "0 5 * * * root a\n0 5 * * * tar x", Kind.CRONTAB),
        ("-", "MAILTO=x\n0 5 * * * tar x", Kind.CRONTAB),
        ("-", "@reboot root", Kind.CRONTAB),
    ],
)
def test_the_form_is_told_by_the_path_the_heading_or_the_users(path: str, text: str, kind: Kind) -> None:
    assert kind_of(origin(text, path)) is kind
