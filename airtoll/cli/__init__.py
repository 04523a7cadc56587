"""The command `airtoll`. Kept bare: processes started by a run import this module again, and need no commands; a worker
of the pool lives where what they need is not installed."""

import sys

from protocol.determinism import threads

threads.pin()  # before anything imports numpy

INTERRUPTED = 130
_WORKERS = ("agent", "channel")


def main() -> None:
    """Run the command line. An interrupt has the same exit code wherever it comes."""
    try:
        if sys.argv[1:2] and sys.argv[1] in _WORKERS:
            from airtoll.cli import workers

            sys.exit(workers.main(sys.argv[1:]))
        from airtoll.cli.commands import app

        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
