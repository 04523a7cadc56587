"""The teller: a process beside the service that sums up air books, so that a long one keeps nobody else waiting.

python -m controller.service.teller

It reads a question per line of its stdin, answers with a line on its stdout, and leaves when its stdin ends: with the
service, however that ends.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from controller.run_folder.reader import NotARunError, RunFolder
from controller.service.queries import By, TollAccounts

Tolls = list[dict[str, Any]]
_MAX_ANSWER = 1 << 28


class DamagedBookError(ValueError):
    """An air book that cannot be read."""


class Teller:
    """The process, as the service sees it: started when it is first asked, one question at a time."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._lock = asyncio.Lock()
        self._asking: set[asyncio.Task[Tolls]] = set()

    async def toll(self, folder: Path, *, by: By, windows: int = 1) -> Tolls:
        """The toll of a run's folder per kind, node or link in at most so many windows of equal length.

        DamagedBookError; RuntimeError when the process dies.
        """
        asking = asyncio.create_task(self._ask({"folder": str(folder), "by": by, "windows": windows}))
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)
        return await asyncio.shield(asking)  # who does not wait for the answer leaves it to nobody else

    async def close(self) -> None:
        """Send the process home."""
        for asking in self._asking:
            asking.cancel()
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def _ask(self, question: dict[str, Any]) -> Tolls:
        async with self._lock:
            process = await self._started()
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                process.stdin.write(json.dumps(question).encode() + b"\n")
                await process.stdin.drain()
                line = await process.stdout.readline()
            except ConnectionError:
                line = b""
            if not line:
                self._process = None
        if not line:
            raise RuntimeError("the process that sums up air books has died; ask again")
        answer = json.loads(line)
        if "fault" in answer:
            raise DamagedBookError(answer["fault"])
        tolls: Tolls = answer["tolls"]
        return tolls

    async def _started(self) -> asyncio.subprocess.Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "controller.service.teller"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=_MAX_ANSWER,
                start_new_session=True,  # Ctrl-C is the service's
            )
        return self._process


def main() -> None:
    """Answer until nobody asks any more; after the service and the runs, where all want the processor."""
    os.nice(5)
    accounts = TollAccounts()
    for line in sys.stdin:
        print(json.dumps(_answer(accounts, json.loads(line))), flush=True)


def _answer(accounts: TollAccounts, question: dict[str, Any]) -> dict[str, Any]:
    try:
        folder = RunFolder.open(Path(question["folder"]))
        return {"tolls": accounts.toll(folder, by=question["by"], windows=question["windows"])}
    except (NotARunError, OSError):
        return {"tolls": []}  # it was deleted meanwhile
    except ValueError as error:
        return {"fault": str(error)}


if __name__ == "__main__":
    main()
