"""airtoll: networked emulation of radio networks whose nodes learn, with every byte of signalling metered.

import airtoll

summary = airtoll.run("examples/d2d-greedy.yaml", seed=2, world={"pairs": 10})
"""

from protocol.determinism import threads

threads.pin()  # before anything imports numpy

from airtoll.api import connect, gym_env, parallel_env, run  # noqa: E402

__version__: str
__all__ = ["__version__", "connect", "gym_env", "parallel_env", "run"]


def __getattr__(name: str) -> str:
    if name == "__version__":
        # Read on demand: importlib.metadata takes longer to import than the rest of this package.
        from importlib.metadata import version

        return version("airtoll")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
