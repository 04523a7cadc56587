"""Kits that every world and scheme passes, those of other packages too: call them from a test.

    from airtoll.testing import check_scheme, check_world

    def test_the_scheme() -> None:
        check_scheme("doe2027/sleepy", world={"name": "pond", "frogs": 3})

Each raises AssertionError at the first rule that is broken. They run in one process, in seconds; `check_placements`
starts a process per node.
"""

from airtoll.testing.checks import check_placements, check_scheme, check_world

__all__ = ["check_placements", "check_scheme", "check_world"]
