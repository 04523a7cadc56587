"""`python -m airtoll`, the same as the command."""

from airtoll.cli import main

if __name__ == "__main__":  # worker processes import it under another name
    main()
