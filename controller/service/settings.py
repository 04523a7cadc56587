"""The settings of a service."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from controller.service.limits import MAX_QUEUED, MAX_READERS, REQUEST_TIMEOUT_S, STOP_TIMEOUT_S


@dataclass(frozen=True)
class PoolSettings:
    """Where workers connect: `endpoint` tcp://HOST:PORT, `run_process_ports` FIRST-LAST or *; `keys`: a folder of keys
    that encrypt both, None for this machine's workers only."""

    endpoint: str
    run_process_ports: str = "*"
    keys: Path | None = None


@dataclass(frozen=True)
class ServiceSettings:
    """What `airtoll serve` is started with.

    data               the folder of the runs' folders and of their index
    at_once            how many runs are active at a time
    max_queued         how many may wait
    max_readers        how many event streams may be open
    resume_lost        whether a run whose run process is lost resumes from its newest checkpoint, if it has a new one
                       each time; otherwise it fails
    stop_timeout_s     how long a run process may take to confirm that it stops its run, before it is killed
    request_timeout_s  how long a request may take to arrive, and a client to take more of its response
    max_run_memory_bytes  how much memory a run's world may need, and each process of a run on this machine may take;
                       None: three quarters of this machine's, shared by the runs at a time
    token_file         the file of the token, created if missing; None: the token is AIRTOLL_TOKEN, or there is none
    pool               None for a service without a pool
    imports            folders of runs, or of folders of runs, that are copied into the data folder
    """

    data: Path
    host: str = "127.0.0.1"
    port: int = 8770
    at_once: int = 1
    max_queued: int = MAX_QUEUED
    max_readers: int = MAX_READERS
    resume_lost: bool = False
    stop_timeout_s: float = STOP_TIMEOUT_S
    request_timeout_s: float = REQUEST_TIMEOUT_S
    max_run_memory_bytes: int | None = None
    token_file: Path | None = None
    pool: PoolSettings | None = None
    imports: tuple[Path, ...] = ()

    @property
    def run_memory_bytes(self) -> int:
        """`max_run_memory_bytes`, or what follows from this machine."""
        return self.max_run_memory_bytes or _machine_memory_bytes() * 3 // 4 // self.at_once


def _machine_memory_bytes() -> int:
    """The memory of this machine, or of this container if that is less."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # no such file, or "max"
        return min(machine, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return machine
