"""The page's windows of slots, merged in pairs: whatever is streamed, sums and order stay."""

import random
from itertools import pairwise
from typing import Any

from tests.browser.page import Page

_ADD = """
    const [max, windows, done] = arguments;
    import(`${location.origin}/page/windows.js`).then(({ Windows }) => {
        const kept = new Windows(max, (into, from) => { into.sum += from.sum; });
        for (const window of windows) kept.add(window);
        done(kept.all);
    });
"""


def test_windows_are_merged_in_order_within_phases_and_sums_stay(page: Page) -> None:
    page.open()
    rng = random.Random(1)
    streamed: list[dict[str, Any]] = []
    for n in range(400):
        for late in (0, rng.choice((0, 3))):  # a further row for an earlier window
            first = 10 * max(0, n - late)
            phase = "train" if first < 1500 else "eval"
            streamed.append({"phase": phase, "first": first, "last": first + 9, "sum": rng.randrange(100)})
    kept = page.driver.execute_async_script(_ADD, 16, streamed)
    assert 8 <= len(kept) <= 16
    assert all(before["last"] < after["first"] for before, after in pairwise(kept))
    assert all((window["last"] < 1500) == (window["phase"] == "train") for window in kept)
    for window in kept:
        inside = [row["sum"] for row in streamed if window["first"] <= row["first"] <= window["last"]]
        assert window["sum"] == sum(inside)
