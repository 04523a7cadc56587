"""airtoll: an emulated radio network whose nodes learn, with every byte they tell each other measured.

import airtoll

summary = airtoll.run("examples/d2d-greedy.yaml", seed=2, world={"pairs": 10})
"""

from protocol.determinism import threads

threads.pin()  # before anything imports numpy

from importlib.metadata import version  # noqa: E402

from airtoll.api import connect, run  # noqa: E402

__version__ = version("airtoll")
__all__ = ["__version__", "connect", "run"]
