"""The command `airtoll`. Kept bare: processes started by a run import this module again, and need no commands."""

from protocol import threads

threads.pin()  # before anything imports numpy


def main() -> None:
    """Run the command line."""
    from airtoll.commands import app

    app()
