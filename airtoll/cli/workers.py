"""The pool's workers, `airtoll agent` and `airtoll channel`.

They need what a node needs and nothing else: argparse reads their options, because a worker is installed without typer
and what typer requires.
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

from airtoll.cli.exit_codes import FAILED, USAGE
from controller.pool.worker import Offer, Worker
from protocol.transports.keys import Keys, KeysError

ABOUT = {
    "agent": "Start a worker of the pool that runs agents: it waits for a controller's runs and is leased to them.",
    "channel": "Start a worker of the pool that runs channel servers: it is leased to one run at a time.",
}
_MAX_CAPACITY = 1000
_MAX_WORKER_NAME_CHARS = 80


def main(arguments: Sequence[str]) -> int:
    """Serve as `agent` or `channel`, whose options follow, until SIGTERM or Ctrl-C; the exit code."""
    options = parser().parse_args(arguments)
    offer = Offer(options.role, options.name, options.capacity, options.port, options.address)
    stop = threading.Event()

    def request_stop(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, request_stop)
    try:
        keys = None if options.keys is None else Keys.read(Path(options.keys)).client()
    except KeysError as error:
        print(f"--keys: {error}", file=sys.stderr)
        return USAGE
    try:
        worker = Worker(offer, options.pool, keys)
    except ValueError as error:
        print(f"--pool: {error}", file=sys.stderr)
        return USAGE
    with worker:
        worker.serve(stop.is_set)
    if worker.refused:
        print(f"the pool rejected this worker: {worker.refused}", file=sys.stderr)
    return FAILED if worker.refused else 0


def parser() -> ArgumentParser:
    """The options of both workers."""
    parser = ArgumentParser("airtoll")
    roles = parser.add_subparsers(dest="role", required=True)
    agent, channel = (roles.add_parser(role, description=about, help=about) for role, about in ABOUT.items())
    for role in (agent, channel):
        _add_common_options(role)
    agent.add_argument(
        "--capacity", type=_at_most(_MAX_CAPACITY), default=1, metavar="N", help="run at most N nodes at a time (1)"
    )
    channel.add_argument("--port", type=_at_most(65535), help="accept nodes on this port; default: any free one")
    channel.add_argument(
        "--address", metavar="HOST", help="how nodes reach this machine; default: its address on the way to the pool"
    )
    return parser


def _add_common_options(role: ArgumentParser) -> None:
    pool, keys = os.environ.get("AIRTOLL_POOL"), os.environ.get("AIRTOLL_KEYS")
    role.add_argument(
        "--pool",
        metavar="tcp://HOST:PORT",
        default=pool,
        required=not pool,
        help="where the controller's pool listens; default: AIRTOLL_POOL",
    )
    role.add_argument(
        "--name", type=_name, default=f"{socket.gethostname()}-{os.getpid()}", help="default: host and process id"
    )
    role.add_argument(
        "--keys",
        metavar="DIR",
        default=keys or None,
        help="the node's keys, for an encrypted pool; default: AIRTOLL_KEYS",
    )
    role.set_defaults(capacity=1, port=0, address="")


def _at_most(maximum: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not (text.isascii() and text.isdecimal()) or not 1 <= int(text) <= maximum:
            raise ArgumentTypeError(f"{text!r} is not allowed: must be a number from 1 to {maximum}")
        return int(text)

    return number


def _name(text: str) -> str:
    if not text or len(text) > _MAX_WORKER_NAME_CHARS or not text.isprintable():
        raise ArgumentTypeError(
            f"{text[:100]!r} is not allowed: must have 1 to {_MAX_WORKER_NAME_CHARS} printable characters"
        )
    return text
