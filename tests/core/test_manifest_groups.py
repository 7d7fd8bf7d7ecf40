"""[groups.NAME] and `after` as texts: what they make, and what is refused."""

from datetime import timedelta

import pytest
from manifests import parsed, problems

from supervisor.core.job import Backoff, Limit, OnGiveUp, Origin
from supervisor.core.tree.group import Strategy
from supervisor.core.tree.shape import shape_of

MINUTE = timedelta(minutes=1)


def run(name: str, **keys: str) -> str:
    return f'[jobs.{name}]\ncommand = "x"\n' + "".join(f"{key} = {value}\n" for key, value in keys.items())


def members(text: str, **included: str) -> dict[str, tuple[str, ...]]:
    manifest = parsed(text, **included)
    return dict(shape_of(manifest.jobs, manifest.groups).members)


def test_a_group_says_all_that_it_may() -> None:
    text = (
        '[groups.out]\n[groups.shop]\nstrategy = "rest_for_one"\nmax_restarts = 3\nwithin = "10s"\ngroup = "out"\n'
        'on_give_up = "escalate"\nbackoff = { initial = "1s" }\n'
    )
    [_, shop] = parsed(text + run("web", group='"shop"')).groups
    assert (shop.strategy, shop.on_give_up, shop.parent) == (Strategy.REST_FOR_ONE, OnGiveUp.ESCALATE, "out")
    assert shop.limit == Limit(max_restarts=3, within=timedelta(seconds=10))
    assert shop.backoff == Backoff(initial=timedelta(seconds=1))


def test_its_defaults_are_those_of_a_job() -> None:
    [shop] = parsed("[groups.shop]\n" + run("web", group='"shop"')).groups
    assert (shop.strategy, shop.on_give_up, shop.backoff) == (Strategy.ONE_FOR_ONE, OnGiveUp.FENCE, Backoff())
    assert shop.limit == Limit(max_restarts=None, within=MINUTE)
    [quick] = parsed('[groups.shop]\nbackoff = "none"\n' + run("web", group='"shop"')).groups
    assert quick.limit == Limit(max_restarts=5, within=MINUTE)


def test_a_member_has_the_groups_limit_and_its_own_backoff_where_it_says_one() -> None:
    text = '[groups.shop]\nbackoff = "none"\nmax_restarts = 2\n'
    jobs = parsed(text + run("a", group='"shop"') + run("b", group='"shop"', backoff='{initial = "2s"}')).jobs
    assert [job.supervision.backoff for job in jobs] == [None, Backoff(initial=timedelta(seconds=2))]
    assert {job.supervision.limit for job in jobs} == {Limit(max_restarts=2, within=MINUTE)}


@pytest.mark.parametrize("key", ['max_restarts = "1"', 'within = "1m"', 'on_give_up = "fence"'])
def test_a_member_has_no_limit_of_its_own(key: str) -> None:
    name, _, value = key.partition(" = ")
    text = "[groups.shop]\n" + run("web", group='"shop"', **{name: value.replace('"1"', "1")})
    assert problems(text) == [
        f"jobs.toml:5: jobs.web.{name}: the limit of a group is shared by its members; write it in [groups.shop]"
    ]


def test_a_default_limit_is_left_out_for_a_member() -> None:
    jobs = parsed("[defaults]\nmax_restarts = 9\n[groups.shop]\n" + run("web", group='"shop"')).jobs
    assert jobs[0].supervision.limit.max_restarts is None


def test_a_group_stands_where_its_first_job_does_and_included_files_follow() -> None:
    text = "[groups.out]\n[groups.in]\ngroup = 'out'\n" + run("a", group="'out'") + run("x", group="'in'")
    assert members(text + run("b", group="'out'"), more=run("y", group="'in'")) == {
        "out": ("a", "in", "b"),
        "in": ("x", "y"),
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "[groups.shop]\n" + run("web", group='"shpo"'),
            'jobs.toml:4: jobs.web.group: there is no group "shpo"; did you mean "shop"?',
        ),
        (run("web", group='"shop"'), 'jobs.toml:3: jobs.web.group: there is no group "shop"; write [groups.shop]'),
        ('[groups.a]\ngroup = "x"', 'jobs.toml:2: groups.a.group: there is no group "x"; write [groups.x]'),
        (
            '[groups.a]\ngroup = "b"\n[groups.b]\ngroup = "a"',
            "jobs.toml:2: groups.a.group: a group cannot be in itself: a → b → a",
        ),
        (
            run("shop") + "[groups.shop]",
            "jobs.toml:3: groups.shop: the name is given twice; the other job is at jobs.toml:1",
        ),
        (
            run("web", after='["dbb"]') + run("db"),
            'jobs.toml:3: jobs.web.after[0]: there is no job "dbb"; did you mean "db"?',
        ),
        (
            "[groups.g]\n" + run("db", group='"g"') + run("web", after='["g"]'),
            'jobs.toml:7: jobs.web.after[0]: "g" is a group; name jobs, such as its last',
        ),
        ("[groups.g]\nstrategy = 'all'", "jobs.toml:2: groups.g.strategy:"),
        ("[defaults]\ngroup = 'g'", "jobs.toml:2: defaults.group: cannot be a default"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, told: str) -> None:
    [found] = problems(text)
    assert found.startswith(told)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (run("a", after='["a"]'), "a → a"),
        (run("a", after='["b"]') + run("b", after='["c"]') + run("c", after='["a"]'), "a → b → c → a"),
        ("[groups.g]\n" + run("a", group='"g"', after='["b"]') + run("b", group='"g"'), "a → b → a"),
        (
            "[groups.g]\n[groups.h]\ngroup='g'\n" + run("a", group='"g"', after='["x"]') + run("x", group='"h"'),
            "a → x → h → a",
        ),
    ],
)
def test_jobs_that_would_wait_for_each_other_are_refused_with_the_path(text: str, path: str) -> None:
    [found] = problems(text)
    assert found.endswith(f"none of these could ever start, as each waits for the next: {path}")


def test_every_circle_is_told_beside_names_that_nobody_has() -> None:
    text = (
        run("a", after='["b", "nobody"]') + run("b", after='["a"]') + run("x", after='["y"]') + run("y", after='["x"]')
    )
    found = problems("[groups.g]\n" + text + run("c", group='"g"', after='["g"]'))
    assert [each.partition(": ")[2] for each in found] == [
        'jobs.a.after[1]: there is no job "nobody"',
        "jobs.a.after: none of these could ever start, as each waits for the next: a → b → a",
        "jobs.x.after: none of these could ever start, as each waits for the next: x → y → x",
        'jobs.c.after[0]: "g" is a group; name jobs, such as its last',
    ]


def test_a_circle_is_told_beside_a_job_that_cannot_be_made() -> None:
    found = problems(run("a", after='["b"]') + run("b", after='["a"]') + '[jobs.x]\ncommand = "y"\nretries = 1\n')
    assert len(found) == 2
    assert found[0].endswith(": a → b → a")
    assert found[1].startswith("jobs.toml:9: jobs.x.retries: ")


def test_a_job_behind_a_circle_is_not_told_as_part_of_it() -> None:
    [found] = problems(run("z", after='["a"]') + run("a", after='["b"]') + run("b", after='["a"]'))
    assert found.endswith(": a → b → a")


def test_what_a_group_settles_for_its_members_is_theirs() -> None:
    text = '[defaults]\non_give_up = "fence"\n[groups.g]\non_give_up = "escalate"\n' + run("a", group='"g"')
    [job] = parsed(text).jobs
    assert job.supervision.on_give_up == "escalate"
    assert job.origins["on_give_up"] == Origin("group", "jobs.toml:4")


def test_a_group_without_jobs_is_a_warning() -> None:
    assert parsed("[groups.shop]\n" + run("web")).warnings == ("jobs.toml:1: groups.shop: no job is in it",)
