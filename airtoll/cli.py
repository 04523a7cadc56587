"""The command `airtoll`. Kept bare: processes started by a run import this module again, and need no commands."""

import sys

from protocol import threads

threads.pin()  # before anything imports numpy

INTERRUPTED = 130


def main() -> None:
    """Run the command line. An interrupt has the same exit code wherever it comes."""
    try:
        from airtoll.commands import app

        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
