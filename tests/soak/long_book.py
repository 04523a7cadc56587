"""What a huge air book costs those who ask for something else: `python -m tests.soak.long_book [ROWS]`.

A run's air book of so many rows is summed up while /healthz is asked again and again.
"""

import sys
import threading
import time
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory

from protocol.accounting.air_book import encode_rows
from protocol.messages.kinds import Kind
from tests.airtoll.folders import air
from tests.system.service import CELL, Service, serving

ROWS = 2_000_000
_PIECE = [air(n % 3, Kind(n % 3)) for n in range(1000)]


def lengthen(folder: Path, rows: int) -> None:
    """Write an air book of so many rows, in thousands, in place of a run's own."""
    piece = encode_rows(_PIECE)
    with (folder / "air_book.msgpack").open("wb") as book:
        for _ in range(rows // len(_PIECE)):
            book.write(piece)


def waits(service: Service, run_id: str) -> tuple[float, list[float]]:
    """How long the toll takes, and each of the many answers of /healthz meanwhile, in seconds."""
    tolling = threading.Thread(target=service.client.toll, args=(run_id,))
    began = time.monotonic()
    tolling.start()
    asked: list[float] = []
    while tolling.is_alive():
        since = time.monotonic()
        with urllib.request.urlopen(f"{service.url}/healthz", timeout=30) as answer:
            answer.read()
        asked.append(time.monotonic() - since)
        tolling.join(0.01)
    return time.monotonic() - began, asked


def main() -> None:
    """So many rows, 2 million unless told."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with TemporaryDirectory() as data, serving(Path(data)) as service:
        run = service.client.wait(service.client.submit(CELL)["id"])
        lengthen(Path(run["folder"]), rows)
        took_s, asked = waits(service, run["id"])
    asked.sort()
    middle, last = asked[len(asked) // 2], asked[-1]
    print(
        f"{rows} rows summed in {took_s:.1f} s; /healthz meanwhile, {len(asked)} times: median {1000 * middle:.1f} ms,"
    )
    print(f"longest {1000 * last:.0f} ms")


if __name__ == "__main__":
    main()
