"""What a run pays for those who look on: its slots per second, as ratios of runs that follow each other at once.

crowd    100 readers of events and one that asks and never reads, to nobody: at least LEAST_CROWDED
watched  by the service with one reader, to `airtoll run` of the same file: at least LEAST_WATCHED

Slots per second are those of meta.json, without the start-up, which is told by itself. Median of 5 pairs. At last many
ask for more than their connections hold and read nothing: all must be cut off, and the service be as large as before.

    python -m benchmarks.readers [slots]
"""

from protocol.determinism import threads

threads.pin()

import multiprocessing  # noqa: E402
import os  # noqa: E402
import selectors  # noqa: E402
import socket  # noqa: E402
import statistics  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from contextlib import contextmanager  # noqa: E402
from pathlib import Path  # noqa: E402
from tempfile import TemporaryDirectory  # noqa: E402
from typing import Any, NamedTuple  # noqa: E402
from urllib.parse import urlsplit  # noqa: E402

import psutil  # noqa: E402
import yaml  # noqa: E402

from controller.run_folder.folder import RunFolder  # noqa: E402
from controller.run_folder.status import ENDS, RunStatus, State  # noqa: E402
from controller.service.limits import REQUEST_TIMEOUT_S  # noqa: E402
from tests.system.service import Service, serving  # noqa: E402

PAIRS, SLOTS = 5, 3000
READERS, UNRESPONSIVE = 100, 40
LEAST_CROWDED, LEAST_WATCHED = 0.85, 0.9
MAX_KEPT_MB = 20.0
_LOG_BYTES = 8 << 20  # more than a connection and its socket's buffers hold


class Played(NamedTuple):
    """A run that is done: slots per second, seconds that were not spent in slots, and what the service worked."""

    slots_per_s: float
    start_s: float
    service_share: float = 0.0  # of one core


def main() -> int:
    """Print the ratios; 1 if one is under its bound, or somebody who reads nothing keeps anything."""
    slots = int(sys.argv[1]) if len(sys.argv) > 1 else SLOTS
    config = {"world": {"name": "d2d_underlay", "pairs": 5}, "scheme": "li2020/sla", "slots": slots}
    with TemporaryDirectory() as folder:
        with serving(Path(folder) / "service") as service:
            played = [_round(service, config, Path(folder), number) for number in range(PAIRS)]
            kept = _deaf(service)
        crowded = statistics.median(one["crowd"].slots_per_s / one["nobody"].slots_per_s for one in played)
        watched = statistics.median(one["watched"].slots_per_s / one["by hand"].slots_per_s for one in played)
    for name in played[0]:
        rate = statistics.median(one[name].slots_per_s for one in played)
        start = statistics.median(one[name].start_s for one in played)
        share = statistics.median(one[name].service_share for one in played)
        print(f"{name:8} {rate:7,.0f} slots/s, {start:.2f} s besides the slots, the service {share:.1%} of a core")
    print(f"{READERS} readers and one that never reads: {crowded:.3f} of nobody's (at least {LEAST_CROWDED})")
    print(f"watched, by the service: {watched:.3f} of `airtoll run` (at least {LEAST_WATCHED})")
    print(f"{UNRESPONSIVE} that read nothing: cut off, {kept:+.1f} MB kept (at most {MAX_KEPT_MB:.0f})")
    return int(crowded < LEAST_CROWDED or watched < LEAST_WATCHED or kept > MAX_KEPT_MB)


def _round(service: Service, config: dict[str, Any], folder: Path, number: int) -> dict[str, Played]:
    """One run of each kind; in every second round the other way about."""
    kinds = {
        "nobody": lambda: _served(service, config, readers=0, deaf=0),
        "crowd": lambda: _served(service, config, readers=READERS, deaf=1),
        "by hand": lambda: _uploaded(config, folder / f"run-{number}"),
        "watched": lambda: _served(service, config, readers=1, deaf=0),
    }
    order = list(kinds) if number % 2 == 0 else list(reversed(kinds))
    played = {name: kinds[name]() for name in order}
    return {name: played[name] for name in kinds}


def _uploaded(config: dict[str, Any], folder: Path) -> Played:
    file = folder.with_suffix(".yaml")
    file.write_text(yaml.safe_dump(config), "utf-8")
    began = time.monotonic()
    command = [sys.executable, "-m", "airtoll", "run", str(file), "--out", str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return _played(folder, time.monotonic() - began)


def _served(service: Service, config: dict[str, Any], *, readers: int, deaf: int) -> Played:
    began, worked_s = time.monotonic(), _worked_s(service)
    run = service.client.submit(config)
    folder = Path(run["folder"])
    with _looking_on(service, run["id"], readers), _not_reading(service, run["id"], deaf):
        while (standing := RunStatus.read(folder)) is None or standing.state not in ENDS:
            time.sleep(0.05)
        took_s = time.monotonic() - began
    if standing.state is not State.SUCCEEDED:
        raise RuntimeError(standing.reason)
    service.client.wait(run["id"])  # so that the next finds room at once
    return _played(folder, took_s)._replace(service_share=(_worked_s(service) - worked_s) / took_s)


def _played(folder: Path, took_s: float) -> Played:
    meta = RunFolder.open(folder).meta
    return Played(meta["slots"] / meta["wall_s"], took_s - meta["wall_s"])


def _worked_s(service: Service) -> float:
    """Processor time of the service so far."""
    times = psutil.Process(service.process.pid).cpu_times()
    return times.user + times.system


@contextmanager
def _looking_on(service: Service, run_id: str, readers: int) -> Iterator[None]:
    """So many readers, all in one process; RuntimeError unless each is told the end."""
    if not readers:
        yield
        return
    told = multiprocessing.get_context("spawn").Queue()
    reader = multiprocessing.get_context("spawn").Process(target=_read, args=(service.url, run_id, readers, told))
    reader.start()
    told.get()  # all have asked
    yield
    ends = told.get(timeout=60)
    reader.join()
    if ends != readers:
        raise RuntimeError(f"{readers} readers, of whom {ends} were told the end")


def _read(url: str, run_id: str, readers: int, told: "multiprocessing.Queue[int]") -> None:
    """Read events over so many connections until all are closed; how many were told the end."""
    selector = selectors.DefaultSelector()
    for _ in range(readers):
        selector.register(_asking(url, run_id), selectors.EVENT_READ)
    told.put(readers)
    ends = 0
    while selector.get_map():
        for key, _ in selector.select():
            connection: Any = key.fileobj
            data = connection.recv(1 << 16)
            if b"event: end" in data:
                ends += 1
            if not data or b"event: end" in data:
                selector.unregister(connection)
                connection.close()
    told.put(ends)


@contextmanager
def _not_reading(service: Service, run_id: str, many: int) -> Iterator[list[socket.socket]]:
    """Connections that ask for events and leave them lying."""
    deaf = [_asking(service.url, run_id) for _ in range(many)]
    try:
        yield deaf
    finally:
        for connection in deaf:
            connection.close()


def _asking(url: str, run_id: str) -> socket.socket:
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname or "", parts.port or 0))
    connection.sendall(f"GET /api/v2/runs/{run_id}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    return connection


def _deaf(service: Service) -> float:
    """Megabytes by which the service has grown when all who read nothing have been cut off. RuntimeError if one is not.

    The run's log is made longer than any connection holds.
    """
    config = {"world": {"name": "d2d_underlay", "pairs": 3, "rbs": 2}, "scheme": "li2020/sla", "slots": 5}
    run = service.client.wait(service.client.submit(config)["id"])
    with (Path(run["folder"]) / "log.txt").open("ab") as log:
        log.write(b"%s\n" % (b"x" * 99) * (_LOG_BYTES // 100))
    with _not_reading(service, run["id"], 2):  # what is made once for all readers is there already
        time.sleep(1)
    process = psutil.Process(service.process.pid)
    before, files = process.memory_info().rss, process.num_fds()
    with _not_reading(service, run["id"], UNRESPONSIVE):
        deadline = time.monotonic() + 2 * REQUEST_TIMEOUT_S + 10
        time.sleep(1)
        while (left := process.num_fds() - files) > 0:
            if time.monotonic() > deadline:
                raise RuntimeError(f"of {UNRESPONSIVE} connections that read nothing, {left} are not cut off")
            time.sleep(0.5)
    return (process.memory_info().rss - before) / 2**20


if __name__ == "__main__":
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    sys.exit(main())
