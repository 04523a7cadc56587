"""Hostile HTTP clients: heads that never end, slow bodies, streams that nobody reads, damaged uploads, races."""

import json
import struct
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from random import Random
from urllib.parse import urlsplit

from tests.soak.campaign.draw import Draw
from tests.soak.campaign.scene import API, Scene
from tests.soak.campaign.sockets import connect, idle
from tests.soak.campaign.works import Work

_HEAD = "POST {api}/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
_REQUESTS = (
    _HEAD + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    _HEAD + "Content-Length: -1\r\n\r\n",
    _HEAD + "Content-Length: 9999999999999999999999\r\n\r\n",
    _HEAD + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    _HEAD + "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    _HEAD + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    _HEAD + "Transfer-Encoding: identity\r\n\r\n",
    _HEAD + "Expect: 100-continue\r\nContent-Length: 2000000\r\n\r\n",
    _HEAD + "Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{{}}",
    "GET {api}/runs HTTP/1.1\r\n\r\n",
    "GET {api}/runs HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "GET {api}/runs HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n",
    "GET  {api}/runs  HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "GET /{long} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: {long}\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n" + "X: y\r\n" * 5000 + "\r\n",
    "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n" + " folded\r\n" * 10 + "\r\n",
    "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "TRACE {api}/runs HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 200,
    "GET http://127.0.0.1/healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "GET {api}/runs/%00/files/%ff HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "GET {api}/runs?limit=99999999999999999999&offset=-1&state=%00&world=%ff HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
    "\x00\x01\x02\r\n\r\n",
)
_GET = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
_AMBIGUOUS = _HEAD + f"Content-Length: {5 + len(_GET)}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{_GET}"
_EVENT_IDS = (
    *(
        "99999999999999999-0-0",
        "99999999999999999-0-0-0",
        "-1-0-0-0",
        "0-0-0-0",
        "1-2-3",
        "a-b-c-d",
        "",
        "0",
        "9" * 25 + "-0-0-0",
        "---",
    ),
    *(
        "9" * 5000,
        "1e9-0-0-0",
        "0-99999999999999999999-0-0",
        "\xb2-0-0-0",
        "0-0-0-" + "9" * 30,
        "nan-0-0-0",
        "+1-+1-+1-+1",
    ),
)


def http_torture(scene: Scene, rng: Draw) -> str:
    """Requests that no client should send, one per connection, and slow ones."""
    requests = rng.sample(_REQUESTS, 12)
    for text in (_AMBIGUOUS, *requests):
        _send_raw(scene, text.format(api=API, long="x" * 100_000))
    slow = [
        threading.Thread(target=_send_slowly, args=(scene, rng.choice(_REQUESTS[:10]).format(api=API, long="x")))
        for _ in range(5)
    ]
    for thread in slow:
        thread.start()
    for thread in slow:
        thread.join()
    return f"{len(requests) + 1} malformed requests, {len(slow)} slow ones"


def half_sent_heads(scene: Scene, rng: Draw) -> str:
    """Hundreds of request heads that do not end, while the probe asks for /healthz."""
    number = rng.choice((200, 400, 700))
    with idle(scene, _port(scene), number, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ") as opened:
        time.sleep(rng.uniform(6, 9))
    return f"{opened} half-sent heads"


def streams(scene: Scene, rng: Draw) -> str:
    """Event streams with impossible ids, and readers that never read."""
    [work] = scene.works[:1]
    path = f"{API}/runs/{work.id}/events"
    ids = rng.sample(_EVENT_IDS, 8)
    with ExitStack() as stack:
        for _ in range(rng.choice((5, 40, 80))):
            with suppress(OSError):
                reader = stack.enter_context(connect(scene, _port(scene)))
                reader.sendall(_with_token(scene, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"))
        for event_id in ids:
            _send_raw(scene, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nLast-Event-ID: {event_id}\r\n\r\n")
        time.sleep(rng.uniform(1, 4))
    return f"Last-Event-ID {[event_id[:20] for event_id in ids]}"


def uploads(scene: Scene, rng: Draw) -> str:
    """Damaged weights for a learning run."""
    [work] = scene.begin("learning")
    scene.works[-1].same_trace = False  # should a mutation happen to be valid weights
    path = f"{API}/runs/{work.id}/weights/pair-0"
    octets = {"Content-Type": "application/octet-stream"}
    scene.until(lambda: scene.request("GET", path).status == 200, 30)
    good = scene.request("GET", path).body or b"\x02" + bytes(7) + b"{}"
    statuses = set()
    for change in rng.sample(_DAMAGES, 6):
        statuses.add(scene.request("PUT", path, change(good, rng), octets, bad=True).status)
    for node in ("..", "%2e%2e", "trainer", "nobody", "%00", "x" * 300):
        statuses.add(scene.request("PUT", f"{API}/runs/{work.id}/weights/{node}", good, octets, bad=True).status)
    return f"uploads answered {sorted(statuses)}"


def races(scene: Scene, rng: Draw) -> str:
    """Stop, pause, resume and delete at once, over and over."""
    works = [work for name in ("one process", "processes") if (work := scene.submit(name))]
    for work in works:
        work.allow("STOPPED")
        work.may_vanish = True
    calls = [(work, rng.choice(("stop", "pause", "resume", "resume", "delete"))) for work in works for _ in range(30)]
    threads = [threading.Thread(target=_call, args=(scene, *call)) for call in calls]
    for thread in threads:
        thread.start()
        time.sleep(rng.choice((0.0, 0.0, 0.05)))
    for thread in threads:
        thread.join()
    for work in works:
        scene.request("POST", f"{API}/runs/{work.id}/resume")
        scene.request("POST", f"{API}/runs/{work.id}/stop")
    scene.until(lambda: all(scene.ended(work) or not scene.show(work) for work in works), 30)
    deletes = [threading.Thread(target=_call, args=(scene, work, "delete")) for work in works for _ in range(8)]
    for thread in deletes:
        thread.start()
    for thread in deletes:
        thread.join()
    return f"{len(calls)} calls at once, {len(deletes)} deletes"


def _call(scene: Scene, work: Work, what: str) -> None:
    if what == "delete":
        scene.request("DELETE", f"{API}/runs/{work.id}")
    else:
        scene.request("POST", f"{API}/runs/{work.id}/{what}")


def _send_raw(scene: Scene, text: str) -> None:
    """Send bytes as they are, and judge the status lines of what comes back."""
    with suppress(OSError), connect(scene, _port(scene)) as connection:
        connection.settimeout(2.0)
        connection.sendall(_with_token(scene, text))
        received = b""
        with suppress(TimeoutError):
            while piece := connection.recv(65536):
                received += piece
                if len(received) > 200_000 or b"text/event-stream" in received:
                    break
        _judge(scene, text, received)
        return
    scene.ledger.count("bad inputs")


def _judge(scene: Scene, text: str, received: bytes) -> None:
    status = received[9:12]
    unforeseen = status[:1] == b"5" and b"etry-" not in received and status != b"501"
    smuggled = text.endswith(_GET) and "Transfer-Encoding" in text and received.count(b"HTTP/1.1 ") > 1
    if unforeseen:
        scene.broke(f"{text[:150]!r} is answered {received[:200]!r}")
    if smuggled:  # a proxy that goes by Content-Length has passed on one request, and two are answered
        scene.broke("Content-Length and Transfer-Encoding in one request: what lies behind it is answered, too")
    scene.ledger.count("bad inputs", broke=int(unforeseen or smuggled))


def _send_slowly(scene: Scene, text: str) -> None:
    """A byte now and then, until the other end has enough or four seconds are over."""
    with suppress(OSError), connect(scene, _port(scene)) as connection:
        for byte in _with_token(scene, text)[:40]:
            connection.sendall(bytes([byte]))
            time.sleep(0.1)
    scene.ledger.count("bad inputs")


def _with_token(scene: Scene, text: str) -> bytes:
    """The request as a client with the token sends it: the first to be heard are those who may come in."""
    token = scene.service.token
    head, separator, rest = text.partition("\r\n")
    line = f"\r\nAuthorization: Bearer {token}" if token and separator else ""
    return f"{head}{line}{separator}{rest}".encode("latin-1", "replace")


def _port(scene: Scene) -> int:
    return int(urlsplit(scene.service.url).port or 0)


def _with_header(header: bytes) -> Callable[[bytes, Random], bytes]:
    return lambda good, _: struct.pack("<Q", len(header)) + header + good[8 + struct.unpack("<Q", good[:8])[0] :]


_EMPTY_TENSOR = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
_DAMAGES: tuple[Callable[[bytes, Random], bytes], ...] = (
    lambda _good, _rng: b"",
    lambda good, rng: good[: rng.randrange(len(good))],
    lambda good, _rng: good + b"more",
    lambda good, rng: rng.randbytes(len(good)),
    lambda good, _rng: struct.pack("<Q", 2**63) + good[8:],
    lambda good, _rng: struct.pack("<Q", 10**7) + b" " * 10**7 + good,
    lambda good, _rng: good[:-4] + b"\xff\xff\xff\x7f",
    _with_header(b"[" * 100_000),
    _with_header(b'{"a":' * 100_000),
    _with_header(json.dumps({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 4]}}).encode()),
    _with_header(
        json.dumps({str(n): {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for n in range(50_000)}).encode()
    ),
)
