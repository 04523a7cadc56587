"""Clients that flood a controller of this machine with YAML configurations, none of which is a run."""

import http.client
import multiprocessing
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import cycle
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from tests.soak.campaign.texts import bad_yamls
from tests.system.service import serving

CLIENTS = 16  # as many configurations as may wait to be checked
_TEXTS = 200
_HEADERS = {"Content-Type": "application/yaml"}


@contextmanager
def flooded_controller() -> Iterator["Synchronized[int]"]:
    """A controller and its clients, in processes of their own; the number of answers so far."""
    context = multiprocessing.get_context("spawn")
    with TemporaryDirectory() as folder, serving(Path(folder)) as service:
        answers = context.Value("q", 0)
        clients = context.Process(target=_flood, args=(service.url, answers), daemon=True)
        clients.start()
        try:
            while not answers.value:  # what they and the controller load first would count for the flood
                time.sleep(0.1)
            yield answers
        finally:
            clients.kill()
            clients.join()


def _flood(url: str, answers: "Synchronized[int]") -> None:
    texts = bad_yamls(Random(1), _TEXTS)
    threads = [threading.Thread(target=_post, args=(url, texts[first:], answers)) for first in range(CLIENTS)]
    for thread in threads:
        thread.start()


def _post(url: str, texts: list[bytes], answers: "Synchronized[int]") -> None:
    """One configuration after the other, each over a connection of its own, until this process is killed."""
    for text in cycle(texts):
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=120)
        with suppress(OSError, http.client.HTTPException):
            connection.request("POST", "/api/v2/runs", text, _HEADERS)
            connection.getresponse().read()
            with answers.get_lock():
                answers.value += 1
        connection.close()
