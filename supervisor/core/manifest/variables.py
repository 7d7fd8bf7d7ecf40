"""Files of environment variables, as ``env_file`` names them."""

import re

_LINE = re.compile(
    r"""
    [ \t]* (?:export[ \t]+)?
    (?P<name>[A-Za-z_][A-Za-z0-9_.-]*) [ \t]*=[ \t]*
    (?:
        '(?P<literal>[^']*)' [ \t]*(?:\#.*)?
      | "(?P<basic>(?:[^"\\]|\\.)*)" [ \t]*(?:\#.*)?
      | (?P<plain>(?!['"]).*)
    )
    """,
    re.VERBOSE,
)
_COMMENT = re.compile(r"(?:^|[ \t])#.*")
_ESCAPE = re.compile(r'\\(["\\$`])')


def parse_variables(text: str) -> tuple[dict[str, str], tuple[tuple[int, str], ...]]:
    r"""Return the variables of ``NAME=value`` lines, and what is wrong with the others: (line, text).

    Blank lines and those that start with ``#`` count for nothing, ``export`` may stand in front. In single quotes all
    is literal; in double quotes a backslash escapes ``"``, ``\``, ``$`` and a backquote, as in a shell; nothing is
    expanded. A value without quotes ends before a ``#`` that a blank precedes. Of a name given twice the last counts.
    The texts never show a value, as it may be a secret.
    """
    variables: dict[str, str] = {}
    faults: list[tuple[int, str]] = []
    for number, line in enumerate(text.split("\n"), 1):
        bare = line.strip()
        if not bare or bare.startswith("#"):
            continue
        found = _LINE.fullmatch(bare)
        if found is None:
            faults.append((number, _fault(bare)))
        elif "\0" in bare:
            faults.append((number, "a NUL character cannot stand in it"))
        else:
            variables[found["name"]] = _value(found)
    return variables, tuple(faults)


def _value(found: re.Match[str]) -> str:
    if found["literal"] is not None:
        return found["literal"]
    if found["basic"] is not None:
        return _ESCAPE.sub(r"\1", found["basic"])
    return _COMMENT.sub("", found["plain"]).strip()


def _fault(line: str) -> str:
    name, equals, value = line.partition("=")
    if equals and value.strip()[:1] in {"'", '"'} and _LINE.fullmatch(f"{name}=x"):
        return "the value's quotes do not close at its end; a value stays on one line"
    return "expected NAME=value; a name is of letters, digits and _ . -, and does not start with a digit"
