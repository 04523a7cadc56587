"""The commands of the pool's workers, `airtoll agent` and `airtoll channel`.

They need what a node needs and nothing else: the words are read by the standard library, because typer brings pydantic.
"""

import os
import signal
import socket
import sys
import threading
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from controller.pool.worker import Offer, Worker
from protocol.transports.keys import Keys, KeysError

ABOUT = {
    "agent": "Wait for runs of a controller, and be nodes of theirs.",
    "channel": "Wait for runs of a controller, and be the channel server of one at a time.",
}
_REFUSED, _USAGE = 1, 2
_MAX_NAME_CHARS = 80


def main(words: Sequence[str]) -> int:
    """`agent` or `channel` and its options; the exit code. It serves until SIGTERM or Ctrl-C."""
    told = parser().parse_args(words)
    offer = Offer(told.role, told.name, told.capacity, told.port, told.address)
    stop = threading.Event()

    def hear(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, hear)
    try:
        keys = None if told.keys is None else Keys.read(Path(told.keys)).client()
    except KeysError as error:
        print(f"--keys: {error}", file=sys.stderr)
        return _USAGE
    try:
        worker = Worker(offer, told.pool, keys)
    except ValueError as error:
        print(f"--pool: {error}", file=sys.stderr)
        return _USAGE
    with worker:
        worker.serve(stop.is_set)
    if worker.refused:
        print(f"the pool does not take this worker: {worker.refused}", file=sys.stderr)
    return _REFUSED if worker.refused else 0


def parser() -> ArgumentParser:
    """Of what is typed."""
    words = ArgumentParser("airtoll")
    roles = words.add_subparsers(dest="role", required=True)
    agent, channel = (roles.add_parser(role, description=about, help=about) for role, about in ABOUT.items())
    for role in (agent, channel):
        pool = os.environ.get("AIRTOLL_POOL")
        role.add_argument(
            "--pool",
            metavar="tcp://HOST:PORT",
            default=pool,
            required=not pool,
            help="where the controller's pool listens; AIRTOLL_POOL without",
        )
        role.add_argument(
            "--name", type=_name, default=f"{socket.gethostname()}-{os.getpid()}", help="by default of host and process"
        )
        role.add_argument(
            "--keys",
            metavar="DIR",
            default=os.environ.get("AIRTOLL_KEYS") or None,
            help="of a pool that is locked, the folder of the node's keys; AIRTOLL_KEYS without",
        )
        role.set_defaults(capacity=1, port=0, address="")
    agent.add_argument(
        "--places",
        dest="capacity",
        type=_at_most(1000),
        metavar="N",
        help="so many nodes at a time, of one run or of several",
    )
    channel.add_argument("--port", type=_at_most(65535), help="where nodes come to; any that is free without")
    channel.add_argument(
        "--address", metavar="HOST", help="by which nodes reach this machine; without as it is on the way to the pool"
    )
    return words


def _at_most(most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= most:
            raise ArgumentTypeError(f"{text!r} is not allowed: must be a number from 1 to {most}")
        return int(text)

    return number


def _name(text: str) -> str:
    if not text or len(text) > _MAX_NAME_CHARS or not text.isprintable():
        raise ArgumentTypeError(f"{text[:100]!r} is not allowed: must have 1 to {_MAX_NAME_CHARS} printable characters")
    return text
