from datetime import timedelta

import pytest
from manifests import parsed, problems

from supervisor.core.notifier import Notifier, On, Program, Webhook

JOB = '[jobs.a]\ncommand = "x"\nnotify = ["ops"]\n'


def notifier(lines: str) -> Notifier:
    (only,) = parsed(f"{JOB}[notify.ops]\n{lines}").notifiers
    return only


def problem(lines: str) -> list[str]:
    return [each.partition("notify.ops")[2].lstrip(".: ") for each in problems(f"{JOB}[notify.ops]\n{lines}")]


def test_every_default_is_filled_in() -> None:
    made = notifier('command = "mail -s oh ops"')
    assert made.to == Program(argv=("mail", "-s", "oh", "ops"))
    assert made.on == set(On)
    assert (made.failures, made.retries, made.timeout) == (1, 5, timedelta(seconds=10))


def test_all_can_be_said() -> None:
    made = notifier(
        'webhook = "https://hooks.example.com:8443/T/B?x=1"\non = ["late", "give_up"]\nfailures = 3\n'
        'timeout = "2s"\nretries = 0\nping = true'
    )
    assert made.to == Webhook(url="https://hooks.example.com:8443/T/B?x=1", ping=True)
    assert made.on == {On.LATE, On.GIVE_UP}
    assert (made.failures, made.retries, made.timeout) == (3, 0, timedelta(seconds=2))


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ("", "give it one of `command` and `webhook`: it says who is told"),
        ('command = "x"\nwebhook = "https://a/"', "give it one of `command` and `webhook`: it says who is told"),
        ('command = "x"\nping = true', "ping: applies to `webhook` alone"),
        ('command = ""', 'command: found ""; expected an array such as ["prog", "arg"], or one string'),
        ('command = "x"\non = ["failures"]', 'on[0]: found "failures"; expected one of "failure", "recovery", "late"'),
        ('command = "x"\nfailures = 0', "failures: found 0; expected a whole number from 1 to 10000"),
        ('command = "x"\nretry = 1', 'retry: unknown key; did you mean "retries"?'),
    ],
)
def test_what_cannot_be_is_refused(lines: str, told: str) -> None:
    assert problem(lines)[0].startswith(told)


@pytest.mark.parametrize(
    "url", ["hooks.example.com", "ftp://a/", "https://", "https://a b/", "http://a:99999/", "http:///x"]
)
def test_what_is_no_address_is_refused_without_showing_it(url: str) -> None:
    (told,) = problem(f'webhook = "{url}"')
    assert told.startswith('webhook: expected an address such as "https://example.com/hook"')
    assert url not in told.replace("https://example.com/hook", "")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hooks.slack.com/services/T0/B0/secret", "https://hooks.slack.com/…"),
        ("https://user:secret@example.com:8443?token=secret", "https://example.com:8443/…"),
        ("http://[::1]:80/", "http://[::1]:80/…"),
    ],
)
def test_an_address_is_shown_without_what_may_be_secret(url: str, shown: str) -> None:
    assert Webhook(url=url).shown == shown
    assert notifier(f'webhook = "{url}"').to == Webhook(url=url)


def test_a_job_that_names_nobody_is_refused_with_the_nearest_name() -> None:
    ops = '[notify.ops]\ncommand = "x"\n'
    text = ops + '[jobs.a]\ncommand = "x"\nnotify = ["opps", "nobody"]\n[defaults]\nnotify = ["opz"]'
    assert problems(text) == [
        'jobs.toml:5: jobs.a.notify[0]: there is no notifier "opps"; did you mean "ops"?',
        'jobs.toml:5: jobs.a.notify[1]: there is no notifier "nobody"; write [notify.nobody]',
        'jobs.toml:7: defaults.notify[0]: there is no notifier "opz"; did you mean "ops"?',
    ]


def test_the_defaults_may_name_who_is_told_of_all() -> None:
    (a, b) = parsed(
        '[defaults]\nnotify = ["ops"]\n[notify.ops]\ncommand = "x"\n[jobs.a]\ncommand = "x"\n'
        '[jobs.b]\ncommand = "x"\nnotify = []'
    ).jobs
    assert (a.notify, b.notify) == (("ops",), ())


def test_an_included_file_may_have_notifiers() -> None:
    assert parsed(JOB, sub='[notify.ops]\ncommand = "x"').notifiers[0].where == "jobs.d/sub.toml:1"
