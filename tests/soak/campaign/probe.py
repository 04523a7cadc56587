"""Asks the service whether it lives, again and again while a fault lasts."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.soak.campaign.scene import Scene

_INTERVAL_S = 0.25


@contextmanager
def probing(scene: Scene, seconds: float, *, deaf: bool) -> Iterator[None]:
    """Meanwhile /healthz must be answered within `seconds`, unless the fault makes the service `deaf`."""
    scene.deaf = deaf
    over = threading.Event()
    thread = threading.Thread(target=_probe, args=(scene, scene.limit_s(seconds), over))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        scene.deaf = False


def _probe(scene: Scene, limit_s: float, over: threading.Event) -> None:
    unanswered_since = None
    while not over.wait(_INTERVAL_S):
        began = time.monotonic()
        answer = scene.service.request("GET", "/healthz", timeout_s=limit_s)
        scene.ledger.count("requests")
        if answer.status == 200:
            unanswered_since = None
            continue
        unanswered_since = unanswered_since or began
        if time.monotonic() - unanswered_since >= limit_s and not scene.deaf:
            reason = answer.body[:100].decode(errors="replace")
            scene.broke(f"/healthz was not answered for {limit_s:.0f} s while the fault lasted: {reason}")
