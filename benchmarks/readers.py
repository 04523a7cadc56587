"""What event readers cost a run: its slots per second, as ratios of runs that follow each other directly.

    crowd    with 100 readers of events and one unresponsive reader, relative to none: at least MIN_CROWD_RATIO
    watched  by the service with one reader, relative to `airtoll run` of the same file: at least MIN_WATCHED_RATIO

Slots per second are those of meta.json, without the start-up time, which is printed separately. Median of 5 pairs.
Finally many unresponsive readers request more than their connections hold: the service must close all of them and keep
its size.

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

from controller.run_folder.reader import RunFolder  # noqa: E402
from controller.run_folder.status import FINAL_STATES, RunStatus, State  # noqa: E402
from controller.service.limits import REQUEST_TIMEOUT_S  # noqa: E402
from tests.system.service import Service, serving  # noqa: E402

PAIRS, SLOTS = 5, 3000
READERS, UNRESPONSIVE = 100, 40
MIN_CROWD_RATIO, MIN_WATCHED_RATIO = 0.85, 0.9
MAX_KEPT_MB = 20.0
_LOG_BYTES = 8 << 20  # more than a connection and its socket's buffers hold


class Played(NamedTuple):
    """A finished run: slots per second, seconds not spent in slots, and the service's processor time."""

    slots_per_s: float
    start_s: float
    service_share: float = 0.0  # of one core


def main() -> int:
    """Print the ratios; 1 if one is under its bound, or if unresponsive readers keep memory."""
    slots = int(sys.argv[1]) if len(sys.argv) > 1 else SLOTS
    config = {"world": {"name": "d2d_underlay", "pairs": 5}, "scheme": "li2020/sla", "slots": slots}
    with TemporaryDirectory() as folder:
        with serving(Path(folder) / "service") as service:
            played = [_round(service, config, Path(folder), number) for number in range(PAIRS)]
            kept = _kept_mb(service)
        crowded = statistics.median(one["crowd"].slots_per_s / one["no reader"].slots_per_s for one in played)
        watched = statistics.median(one["watched"].slots_per_s / one["direct"].slots_per_s for one in played)
    for name in played[0]:
        rate = statistics.median(one[name].slots_per_s for one in played)
        start = statistics.median(one[name].start_s for one in played)
        share = statistics.median(one[name].service_share for one in played)
        print(f"{name:9} {rate:7,.0f} slots/s, {start:.2f} s besides the slots, the service {share:.1%} of a core")
    print(f"{READERS} readers and an unresponsive one: {crowded:.3f} of the rate without (at least {MIN_CROWD_RATIO})")
    print(f"watched, by the service: {watched:.3f} of `airtoll run` (at least {MIN_WATCHED_RATIO})")
    print(f"{UNRESPONSIVE} unresponsive readers: closed, {kept:+.1f} MB kept (at most {MAX_KEPT_MB:.0f})")
    return int(crowded < MIN_CROWD_RATIO or watched < MIN_WATCHED_RATIO or kept > MAX_KEPT_MB)


def _round(service: Service, config: dict[str, Any], folder: Path, number: int) -> dict[str, Played]:
    """One run of each kind; in every second round in reverse order."""
    kinds = {
        "no reader": lambda: _served(service, config, readers=0, unresponsive=0),
        "crowd": lambda: _served(service, config, readers=READERS, unresponsive=1),
        "direct": lambda: _direct(config, folder / f"run-{number}"),
        "watched": lambda: _served(service, config, readers=1, unresponsive=0),
    }
    order = list(kinds) if number % 2 == 0 else list(reversed(kinds))
    played = {name: kinds[name]() for name in order}
    return {name: played[name] for name in kinds}


def _direct(config: dict[str, Any], folder: Path) -> Played:
    file = folder.with_suffix(".yaml")
    file.write_text(yaml.safe_dump(config), "utf-8")
    began = time.monotonic()
    command = [sys.executable, "-m", "airtoll", "run", str(file), "--out", str(folder)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return _played(folder, time.monotonic() - began)


def _served(service: Service, config: dict[str, Any], *, readers: int, unresponsive: int) -> Played:
    began, worked_s = time.monotonic(), _worked_s(service)
    run = service.client.submit(config)
    folder = Path(run["folder"])
    with _reading(service, run["id"], readers), _unresponsive(service, run["id"], unresponsive):
        while (status := RunStatus.read(folder)) is None or status.state not in FINAL_STATES:
            time.sleep(0.05)
        took_s = time.monotonic() - began
    if status.state is not State.SUCCEEDED:
        raise RuntimeError(status.reason)
    service.client.wait(run["id"])  # so that the next run starts at once
    return _played(folder, took_s)._replace(service_share=(_worked_s(service) - worked_s) / took_s)


def _played(folder: Path, took_s: float) -> Played:
    meta = RunFolder.open(folder).meta
    assert meta.slots is not None
    assert meta.wall_s is not None
    return Played(meta.slots / meta.wall_s, took_s - meta.wall_s)


def _worked_s(service: Service) -> float:
    """Processor time of the service so far."""
    times = psutil.Process(service.process.pid).cpu_times()
    return times.user + times.system


@contextmanager
def _reading(service: Service, run_id: str, readers: int) -> Iterator[None]:
    """So many readers, all in one process; RuntimeError unless each receives the end event."""
    if not readers:
        yield
        return
    counts = multiprocessing.get_context("spawn").Queue()
    reader = multiprocessing.get_context("spawn").Process(target=_read, args=(service.url, run_id, readers, counts))
    reader.start()
    counts.get()  # all have sent their request
    yield
    ends = counts.get(timeout=60)
    reader.join()
    if ends != readers:
        raise RuntimeError(f"{ends} of {readers} readers received the end event")


def _read(url: str, run_id: str, readers: int, counts: "multiprocessing.Queue[int]") -> None:
    """Read events over so many connections until all are closed; count the end events received."""
    selector = selectors.DefaultSelector()
    for _ in range(readers):
        selector.register(_requesting(url, run_id), selectors.EVENT_READ)
    counts.put(readers)
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
    counts.put(ends)


@contextmanager
def _unresponsive(service: Service, run_id: str, many: int) -> Iterator[list[socket.socket]]:
    """Connections that request events and never read them."""
    connections = [_requesting(service.url, run_id) for _ in range(many)]
    try:
        yield connections
    finally:
        for connection in connections:
            connection.close()


def _requesting(url: str, run_id: str) -> socket.socket:
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname or "", parts.port or 0))
    connection.sendall(f"GET /api/v2/runs/{run_id}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    return connection


def _kept_mb(service: Service) -> float:
    """Megabytes by which the service has grown after closing all unresponsive readers. RuntimeError if it does not.

    The run's log is made longer than any connection holds.
    """
    config = {"world": {"name": "d2d_underlay", "pairs": 3, "rbs": 2}, "scheme": "li2020/sla", "slots": 5}
    run = service.client.wait(service.client.submit(config)["id"])
    with (Path(run["folder"]) / "log.txt").open("ab") as log:
        log.write(b"%s\n" % (b"x" * 99) * (_LOG_BYTES // 100))
    with _unresponsive(service, run["id"], 2):  # what is allocated once for all readers exists by now
        time.sleep(1)
    process = psutil.Process(service.process.pid)
    before, files = process.memory_info().rss, process.num_fds()
    with _unresponsive(service, run["id"], UNRESPONSIVE):
        deadline = time.monotonic() + 2 * REQUEST_TIMEOUT_S + 10
        time.sleep(1)
        while (left := process.num_fds() - files) > 0:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{left} of {UNRESPONSIVE} unresponsive readers are still connected")
            time.sleep(0.5)
    return (process.memory_info().rss - before) / 2**20


if __name__ == "__main__":
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    sys.exit(main())
