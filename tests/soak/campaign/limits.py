"""Faults of resources and of the clock: no descriptors, no memory, a wall clock that jumps."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from random import Random

import psutil

from tests.soak.campaign.draw import Draw
from tests.soak.campaign.scene import LeftOutError, Scene
from tests.soak.campaign.signals import processes_by_role
from tests.soak.campaign.storage import use_service

_ROLES = ("service", "service", "run process", "channel server", "trainer", "worker")


def few_descriptors(scene: Scene, rng: Draw) -> str:
    """A process may open no more, or hardly more, files than it has open."""
    process, role = _victim(scene, rng)
    more, seconds = rng.choice((0, 0, 1, 3, 8)), rng.uniform(2, 5)
    with _limited(process, resource.RLIMIT_NOFILE, process.num_fds() + more):
        use_service(scene, seconds)
    return f"{role} may open {more} more files for {seconds:.1f} s"


def little_memory(scene: Scene, rng: Draw) -> str:
    """A process may have hardly more memory than it has."""
    process, role = _victim(scene, rng)
    more_mb, seconds = rng.choice((8, 32, 64) if role == "service" else (0, 1, 8, 32)), rng.uniform(2, 5)
    with _limited(process, resource.RLIMIT_AS, process.memory_info().vms + more_mb * 2**20):
        use_service(scene, seconds)
    return f"{role} may have {more_mb} MB more for {seconds:.1f} s"


def clock_jump(scene: Scene, rng: Draw) -> str:
    """The wall clock of all processes jumps, several times, and comes back."""
    clock = scene.setting.clock
    if clock.missing:
        raise LeftOutError(clock.missing)
    jumps = [rng.choice((3600.0, -3600.0, 86_400.0, -86_400.0, 0.5, -0.5, 3e8, -3e8)) for _ in range(3)]
    try:
        for seconds in jumps:
            clock.jump(seconds)
            use_service(scene, rng.uniform(0.5, 2))
    finally:
        clock.jump(0.0)
    return f"the clock jumped by {', '.join(f'{seconds:g}' for seconds in jumps)} s"


def _victim(scene: Scene, rng: Random) -> tuple[psutil.Process, str]:
    """A process of a drawn role; if it is not the service, a run may fail for it."""
    by_role = processes_by_role(scene)
    role = rng.choice([role for role in _ROLES if by_role.get(role)])
    for work in scene.works if role != "service" else ():
        work.allow("FAILED")
    return rng.choice(by_role[role]), role


@contextmanager
def _limited(process: psutil.Process, what: int, soft: int) -> Iterator[None]:
    """The process under a lower limit, which is lifted again if it still lives."""
    _, hard = before = resource.prlimit(process.pid, what)
    limited = soft if hard == resource.RLIM_INFINITY else min(soft, hard)
    resource.prlimit(process.pid, what, (limited, hard))
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            resource.prlimit(process.pid, what, before)
