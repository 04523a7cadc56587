"""Who was turned away at a locked line: counted, and the first of each reason told."""

from collections import Counter
from collections.abc import Callable, Iterable

_TOLD_PER_REASON = 20


class RejectedConnections:
    """`tell` is told a line of text each."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self.counts: Counter[str] = Counter()
        self._tell = tell

    def rejected(self, refused: Iterable[tuple[str, str]]) -> None:
        """Why, and the first characters of the key that is not on the list, of each that was."""
        for reason, key in refused:
            self.counts[reason] += 1
            if self.counts[reason] <= _TOLD_PER_REASON:
                last = ", the last one of its kind that is told" if self.counts[reason] == _TOLD_PER_REASON else ""
                self._tell(f"turned away a {reason}{f': {key}...' if key else ''}{last}")
