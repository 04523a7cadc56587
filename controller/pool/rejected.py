"""The connections that an encrypted socket rejected: counted, and the first of each reason logged."""

from collections import Counter
from collections.abc import Callable, Iterable

ANOTHER_NAME = "worker under another name than its key is bound to"
_LOGGED_PER_REASON = 20


class RejectedConnections:
    """`log` is called with one line of text per logged connection."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self.counts: Counter[str] = Counter()
        self._log = log

    def add(self, rejected: Iterable[tuple[str, str]]) -> None:
        """Count connections, given by their reasons and the first characters of their keys ("" if not known)."""
        for reason, key in rejected:
            self.counts[reason] += 1
            if self.counts[reason] <= _LOGGED_PER_REASON:
                last = ", further ones are only counted" if self.counts[reason] == _LOGGED_PER_REASON else ""
                self._log(f"rejected a {reason}{f': {key}...' if key else ''}{last}")
