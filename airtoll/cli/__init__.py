"""The command `airtoll`.

Imports little: processes that a run starts import this module again and need no commands, and a pool worker runs
where typer, rich and pydantic are not installed.
"""

import os
import sys

from airtoll.cli.exit_codes import INTERRUPTED
from protocol.determinism import threads

threads.pin()  # before anything imports numpy

_WORKERS = ("agent", "channel")


def main() -> None:
    """Run the command line. Ctrl-C exits with the same code at any moment."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started the command
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
    try:
        if sys.argv[1:2] and sys.argv[1] in _WORKERS:
            from airtoll.cli import workers

            sys.exit(workers.main(sys.argv[1:]))
        from airtoll.cli.commands import app

        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
