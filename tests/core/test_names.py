import pytest

from supervisor.core.names import Unmatched, select

LABELS = ("web:1", "web:2", "api", "api_old", "importer")


@pytest.mark.parametrize(
    ("names", "meant"),
    [
        (["api"], ["api"]),
        (["web"], ["web:1", "web:2"]),
        (["web:2"], ["web:2"]),
        (["api:1"], ["api"]),
        (["*"], list(LABELS)),
        (["api*"], ["api", "api_old"]),
        (["w*"], ["web:1", "web:2"]),
        (["w*:2"], ["web:2"]),
        (["web:*"], ["web:1", "web:2"]),
        (["*port*"], ["importer"]),
        (["importer", "api", "importer"], ["api", "importer"]),
        ([], []),
    ],
    ids=str,
)
def test_names_mean_slots_in_the_order_of_the_manifest(names: list[str], meant: list[str]) -> None:
    assert select(names, LABELS) == meant


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("wbe", "web"),
        ("wbe:2", "web:2"),
        ("web:3", "web:2"),
        ("API", None),
        ("apo", "api"),
        ("api:2", "api"),
        ("zzz", None),
        ("x*", None),
        ("", None),
        ("web:1:1", "web:1"),
        ("all", "*"),
    ],
)
def test_a_name_that_means_nothing_is_said_with_the_nearest(name: str, near: str | None) -> None:
    assert select(["api", name], LABELS) == Unmatched(name, near)


def test_the_sentence_for_a_person() -> None:
    assert str(select(["wbe"], ["web"])) == 'no job "wbe"; did you mean "web"?'
    assert str(select(["zzz"], ["web"])) == 'no job "zzz"; `jobvisor status` lists them'
