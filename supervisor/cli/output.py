"""Standard output that its reader may leave early, as ``jobvisor status | head -1`` does."""

import os
import sys


def write(text: str) -> None:
    """Print lines; a reader that has gone is no error, so that the exit code stays what it is."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        hush()


def hush() -> None:
    """Send whatever is still to come nowhere: the interpreter flushes stdout once more at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
