"""Many deadlines, of which the earliest is wanted: the same as looking at all of them."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from supervisor.core.deadlines import Deadlines

AT = st.integers(0, 20).map(lambda seconds: timedelta(seconds=seconds))
KEYS = st.sampled_from("abcd")
SETS = st.tuples(st.just("set"), KEYS, AT | st.none())
POPS = st.tuples(st.just("pop"), KEYS, AT)


@given(st.lists(SETS | POPS, max_size=60))
def test_the_earliest_is_found_as_by_looking_at_all(steps: list[tuple[str, str, timedelta | None]]) -> None:
    made, model = Deadlines[str](), dict[str, timedelta]()
    for what, key, at in steps:
        if what == "set":
            made.set(key, at)
            model.pop(key, None)
            if at is not None:
                model[key] = at
        elif at is not None:
            popped = made.pop(at)
            due = [each for each in model.values() if each <= at]
            assert (popped is None) == (not due)
            if popped is not None:
                assert model.pop(popped) == min(due)
        assert made.first() == min(model.values(), default=None)


def test_one_that_is_put_off_again_and_again_keeps_one_entry() -> None:
    made = Deadlines[str]()
    made.set("first", timedelta(0))
    for seconds in range(1, 1000):
        made.set("beat", timedelta(seconds=seconds))
    assert len(made) == 2
