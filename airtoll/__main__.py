"""`python -m airtoll`, the same as the command."""

from airtoll.cli import main

main()
