"""What a campaign has injected and what broke: a table for people, and a file of JSON lines for post-mortem."""

import json
import time
from collections import Counter
from pathlib import Path
from threading import Lock
from typing import Any

SENT = ("bad inputs", "connections", "requests")


class Ledger:
    """Counts faults by kind, bad inputs, connections and requests. `path`: the file of JSON lines, one per fault."""

    def __init__(self, path: Path) -> None:
        self._lines = path.open("w", encoding="utf-8")
        self._began = time.monotonic()
        self._lock = Lock()  # faults send from several threads
        self.injected: Counter[str] = Counter()
        self.broke: Counter[str] = Counter()
        self.left_out: dict[str, str] = {}
        self.sent: Counter[str] = Counter()
        self.sent_broke: Counter[str] = Counter()

    def count(self, what: str, number: int = 1, *, broke: int = 0) -> None:
        """Count bad inputs, connections or requests."""
        with self._lock:
            self.sent[what] += number
            self.sent_broke[what] += broke

    def fault(self, kind: str, broken: list[str], **more: Any) -> None:
        """Record a fault, and what it broke."""
        self.injected[kind] += 1
        self.broke[kind] += bool(broken)
        self._write(kind=kind, broke=broken, **more)

    def leave_out(self, kind: str, reason: str) -> None:
        """Record that a kind cannot be injected here; never in silence."""
        if kind not in self.left_out:
            self.left_out[kind] = reason
            print(f"LEFT OUT {kind}: {reason}", flush=True)
            self._write(kind=kind, left_out=reason)

    @property
    def anything_broke(self) -> bool:
        """Whether any fault, input, connection or request broke something."""
        return bool(self.broke.total() + self.sent_broke.total())

    def table(self) -> str:
        """The counts, one row per kind."""
        minutes = (time.monotonic() - self._began) / 60
        rows = [(kind, self.injected[kind], self.broke[kind]) for kind in sorted(self.injected)]
        rows += [("all faults", self.injected.total(), self.broke.total())]
        rows += [(what, self.sent[what], self.sent_broke[what]) for what in SENT]
        lines = ["| fault | injected | held | broke |", "| --- | ---: | ---: | ---: |"]
        lines += [f"| {name} | {number:,} | {number - broke:,} | {broke:,} |" for name, number, broke in rows]
        lines += [f"| {kind} | LEFT OUT: {reason} | | |" for kind, reason in self.left_out.items()]
        return "\n".join([f"after {minutes:.1f} minutes", "", *lines, ""])

    def close(self) -> None:
        """Close the file."""
        self._lines.close()

    def _write(self, **line: Any) -> None:
        at_s = round(time.monotonic() - self._began, 1)
        self._lines.write(json.dumps({"at_s": at_s} | line, default=str) + "\n")
        self._lines.flush()
