"""The images are built once, the network is started once."""

from collections.abc import Iterator

import pytest

from tests.containers.engine import Stack, docker

AGENTS = 10
IMAGES = ("airtoll-agent", "airtoll-controller")


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Built, not started; at the end nothing is left of it but the images."""
    built = Stack("airtoll-test", AIRTOLL_REST="127.0.0.1:0", AIRTOLL_AT_ONCE="2")
    built.down()
    built.compose("build")
    try:
        yield built
    finally:
        built.down()
        for title in ("airtoll agent", "airtoll controller"):  # those before the ones that were built
            docker("image", "prune", "--force", "--filter", f"label=org.opencontainers.image.title={title}")


@pytest.fixture(scope="session")
def town(stack: Stack) -> Stack:
    """A controller, two channel workers, ten agents in ten containers."""
    stack.up(agent=AGENTS, channel=2)
    return stack
