"""The command `airtoll`. Kept bare: processes started by a run import this module again, and need no commands."""

import sys

from protocol import threads

threads.pin()  # before anything imports numpy

INTERRUPTED = 130


def main() -> None:
    """Run the command line. An interrupt has the same exit code wherever it comes."""
    try:
        sys.exit(_run())
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _run() -> int:
    import click

    from airtoll.commands import app

    try:
        code = app(standalone_mode=False)
    except click.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    return code or 0
