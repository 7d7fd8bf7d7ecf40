"""Tries one target in this process and says on the last line of stdout what it is: ``jobvisor check`` runs it."""

import json
import os
import sys

from supervisor.engine.targets import TargetError, Wanted, find, kind_of
from supervisor.modules import put_first_on_path


def main() -> None:
    """Run as ``python -m supervisor.engine.trial JSON``."""
    wish = json.loads(sys.argv[1])
    answer = os.dup(1)
    os.dup2(2, 1)
    put_first_on_path(wish["path"])
    os.chdir(wish["folder"])
    try:
        found = {"kind": kind_of(find(Wanted(wish["job"], wish["where"], wish["target"], wish["folder"]))).value}
    except TargetError as error:
        found = {"problem": str(error)}
    os.write(answer, json.dumps(found).encode() + b"\n")
    os._exit(0)


if __name__ == "__main__":
    main()
