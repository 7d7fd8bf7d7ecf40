import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.core.manifest.variables import parse_variables


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("A=1", "A", "1"),
        ("  export A = 1  ", "A", "1"),
        ("export\tA=1", "A", "1"),
        ("exported=1", "exported", "1"),
        ("A=", "A", ""),
        ("A=''", "A", ""),
        ("A=a b  c", "A", "a b  c"),
        ("A=postgres://u:p@h/db?x=1#frag", "A", "postgres://u:p@h/db?x=1#frag"),
        ("A=value # a comment", "A", "value"),
        ("A= # nothing", "A", ""),
        ("A='# not one' # but this", "A", "# not one"),
        ("A='x\"\\n$Y'", "A", 'x"\\n$Y'),
        ('A="it\'s \\"so\\" \\\\ \\$5 \\n"', "A", 'it\'s "so" \\ $5 \\n'),
        ('A={"json": [1, "b"]}', "A", '{"json": [1, "b"]}'),
        ("A=C:\\dir", "A", "C:\\dir"),
        ("A=$HOME/x", "A", "$HOME/x"),
        ("spring.data-url_1=x", "spring.data-url_1", "x"),
        ("A=1\r", "A", "1"),
        ("A=x=y", "A", "x=y"),
        ("A=é\u2028z", "A", "é\u2028z"),
    ],
)
def test_a_line_is_a_name_and_a_value(line: str, name: str, value: str) -> None:
    assert parse_variables(line) == ({name: value}, ())


def test_blank_lines_and_comments_count_for_nothing_and_the_last_of_a_name_counts() -> None:
    assert parse_variables("\n# A=0\n   \t\nA=1\n  # x\nA=2\n") == ({"A": "2"}, ())


@pytest.mark.parametrize(
    "line",
    [
        "ZZ",
        "=ZZ",
        "1A=ZZ",
        "A B=ZZ",
        "export ZZ",
        "A-é=ZZ",
        "A='ZZ",
        'A="ZZ',
        "A='1' ZZ",
        'A="ZZ\\"',
        "A=ZZ\0",
    ],
)
def test_other_lines_are_told_by_number_and_without_what_they_hold(line: str) -> None:
    variables, ((number, text),) = parse_variables(f"B=1\n{line}")
    assert (variables, number) == ({"B": "1"}, 2)
    assert "ZZ" not in text


@given(st.text())
def test_every_line_is_a_variable_or_a_fault_or_nothing(text: str) -> None:
    variables, faults = parse_variables(text)
    assert len(variables) + len(faults) <= text.count("\n") + 1


@given(st.text(st.characters(exclude_characters="\0\n\r'", exclude_categories=("Cs",))))
def test_single_quotes_keep_everything(value: str) -> None:
    assert parse_variables(f"A='{value}'") == ({"A": value}, ())
