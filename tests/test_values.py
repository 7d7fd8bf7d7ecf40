"""What ``supervisor.values`` makes of a class, held to what the standard library makes of it."""

import copy
import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest

from supervisor import values


@pytest.fixture(params=[dataclasses, values], ids=["standard library", "ours"])
def made(request: pytest.FixtureRequest) -> Any:
    """Classes, all made by one of the two."""
    library: Any = request.param

    @library.dataclass(frozen=True, slots=True)
    class Point:
        x: int
        y: int = 0

        @property
        def total(self) -> int:
            return self.x + self.y

    @library.dataclass(frozen=True, slots=True, kw_only=True)
    class Named(Point):
        name: str
        tags: list[str] = library.field(default_factory=list)
        origin: str = library.field(default="here", compare=False)

    @library.dataclass(frozen=True, slots=True)
    class Nothing:
        pass

    @library.dataclass(frozen=True, slots=True, order=True)
    class Version:
        major: int
        minor: int = 0

    @library.dataclass(slots=True)
    class Count:
        value: int = 0

    @library.dataclass(frozen=True, slots=True)
    class Spelt:
        text: str

        def __repr__(self) -> str:
            return self.text

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Spelt) and self.text.lower() == other.text.lower()

        def __hash__(self) -> int:
            return hash(self.text.lower())

    return SimpleNamespace(
        library=library, Point=Point, Named=Named, Nothing=Nothing, Version=Version, Count=Count, Spelt=Spelt
    )


def test_fields_come_by_place_and_by_name_and_have_defaults(made: Any) -> None:
    assert (made.Point(1).x, made.Point(1).y) == (1, 0)
    assert (made.Point(1, y=2).y, made.Point(y=2, x=1).x) == (2, 1)
    named = made.Named(1, 2, name="n")
    assert (named.x, named.y, named.name, named.tags, named.origin) == (1, 2, "n", [], "here")
    assert named.total == 3


def test_a_default_that_is_made_is_made_for_each_object(made: Any) -> None:
    one, other = made.Named(1, name="a"), made.Named(1, name="a")
    assert one.tags is not other.tags
    tags = ["given"]
    assert made.Named(1, name="a", tags=tags).tags is tags


@pytest.mark.parametrize(
    ("args", "kwargs", "says"),
    [
        ((), {}, "missing 1 required positional argument: 'x'"),
        ((1, 2, 3), {}, "takes from 2 to 3 positional arguments but 4 were given"),
        ((1,), {"z": 1}, "got an unexpected keyword argument 'z'"),
        ((1,), {"x": 1}, "got multiple values for argument 'x'"),
    ],
)
def test_a_wrong_call_is_told_as_that_of_any_function(
    made: Any, args: tuple[int, ...], kwargs: dict[str, int], says: str
) -> None:
    for _ in range(2):  # the first call of a class is no other than the next
        with pytest.raises(TypeError, match=says):
            made.Point(*args, **kwargs)


def test_keyword_fields_are_keywords_only(made: Any) -> None:
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'name'"):
        made.Named(1, 2)


def test_objects_are_equal_by_their_fields_and_their_class(made: Any) -> None:
    assert made.Point(1, 2) == made.Point(1, 2) != made.Point(1, 3)
    assert made.Point(1, 2) != made.Version(1, 2)
    assert made.Point(1, 2) != (1, 2)
    assert made.Nothing() == made.Nothing()
    assert made.Named(1, name="a", origin="here") == made.Named(1, name="a", origin="there")
    assert made.Count(1) == made.Count(1) != made.Count(2)


def test_frozen_objects_are_hashed_by_their_fields_and_others_are_not(made: Any) -> None:
    assert len({made.Point(1, 2), made.Point(1, 2), made.Point(2, 1), made.Nothing(), made.Nothing()}) == 3
    with pytest.raises(TypeError, match="unhashable"):
        hash(made.Count())
    with pytest.raises(TypeError, match="unhashable"):
        hash(made.Named(1, name="a"))  # a list is in it


def test_frozen_objects_cannot_be_changed_and_others_can(made: Any) -> None:
    point = made.Point(1)
    with pytest.raises(AttributeError):
        point.x = 2
    with pytest.raises(AttributeError):
        del point.x
    assert point == made.Point(1)
    count = made.Count()
    count.value += 1
    assert count == made.Count(1)
    with pytest.raises(AttributeError):
        count.other = 1
    assert not hasattr(count, "__dict__")


def test_objects_show_their_class_and_fields(made: Any) -> None:
    assert repr(made.Point(1, 2)).endswith("Point(x=1, y=2)")
    assert repr(made.Named(1, name="a")).endswith("Named(x=1, y=0, name='a', tags=[], origin='here')")
    assert repr(made.Nothing()).endswith("Nothing()")


def test_what_a_class_says_itself_stands(made: Any) -> None:
    assert made.Spelt("a") == made.Spelt("A")
    assert hash(made.Spelt("a")) == hash(made.Spelt("A"))
    assert repr(made.Spelt("a")) == "a"


def test_a_copy_may_have_other_values(made: Any) -> None:
    named = made.Named(1, 2, name="a", tags=["t"])
    changed = made.library.replace(named, y=5, name="b")
    assert changed == made.Named(1, 5, name="b", tags=["t"])
    assert changed.tags is named.tags
    assert named.name == "a"
    assert made.library.replace(made.Nothing()) == made.Nothing()
    with pytest.raises(TypeError, match="z"):
        made.library.replace(named, z=1)


def test_objects_can_be_ordered_where_that_was_asked_for(made: Any) -> None:
    versions = [made.Version(2), made.Version(1, 5), made.Version(1)]
    assert sorted(versions) == [made.Version(1), made.Version(1, 5), made.Version(2)]
    with pytest.raises(TypeError, match="not supported"):
        made.Point(1) < made.Point(2)  # noqa: B015  # that it cannot be is what is tested


def test_an_order_is_told_by_each_of_its_signs_and_only_among_its_own(made: Any) -> None:
    old, new = made.Version(1, 2), made.Version(2)
    assert [old < new, old <= new, old > new, old >= new] == [True, True, False, False]
    assert [old < old, old <= old, old > old, old >= old] == [False, True, False, True]  # noqa: PLR0124
    with pytest.raises(TypeError):
        assert old <= 1


def test_a_class_keeps_its_full_name(made: Any) -> None:
    assert made.Point.__qualname__ == "made.<locals>.Point"
    assert repr(made.Point(1)) == "made.<locals>.Point(x=1, y=0)"
    assert made.Point.__module__ == __name__


def test_a_default_that_all_objects_would_share_and_change_is_refused(made: Any) -> None:
    with pytest.raises(ValueError, match="mutable default <class 'list'> for field names is not allowed"):

        @made.library.dataclass(slots=True)
        class Shared:
            names: list[str] = []  # noqa: RUF012  # what is refused


def test_objects_can_be_matched(made: Any) -> None:
    match made.Named(1, 2, name="a"):
        case made.Named(x, y, name=name):
            assert (x, y, name) == (1, 2, "a")
        case _:
            pytest.fail("no match")
    assert made.Named.__match_args__ == ("x", "y")


def test_objects_can_be_copied(made: Any) -> None:
    for each in (made.Point(1, 2), made.Named(1, name="a"), made.Nothing(), made.Count(3)):
        assert copy.copy(each) == each
        assert copy.deepcopy(each) == each


def test_fields_are_told_in_their_order(made: Any) -> None:
    assert [each.name for each in made.library.fields(made.Named)] == ["x", "y", "name", "tags", "origin"]
    assert made.library.is_dataclass(made.Point)
    assert made.library.is_dataclass(made.Count())
    assert not made.library.is_dataclass(object())
