"""``jobvisor schema``."""

import json

from supervisor.cli.commands import command as jobvisor
from supervisor.cli.place import Place
from supervisor.core.manifest.schema import manifest_schema


def schema_text() -> str:
    """Return the JSON schema of jobs.toml as the file that an editor reads."""
    return json.dumps(manifest_schema(), indent=2, ensure_ascii=False) + "\n"


@jobvisor(name="schema")
def command(place: Place) -> int:  # noqa: ARG001  # as every command's
    """Print the JSON schema of jobs.toml, for editors that complete and check it.

    `jobvisor init` writes it into .jobvisor, where the first line of its jobs.toml names it. After an upgrade, and in
    a fresh clone: jobvisor schema > .jobvisor/jobs.schema.json
    """
    print(schema_text(), end="")
    return 0
