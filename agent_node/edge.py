"""A node as a process: a session driven by a socket."""

import sys
from collections.abc import Callable

from agent_node.core import BuildPolicy
from agent_node.session import Session
from protocol.messages.codec import BadFrame, decode_for_node, encode
from protocol.transports.dealer import ChannelGone, Dealer
from protocol.transports.keys import ClientKeys

MAX_WAITS_FOR_WELCOME = 240  # of a quarter of a second each (Dealer.receive): a minute


def run_node(
    endpoint: str,
    run_id: str,
    name: str,
    build: BuildPolicy,
    *,
    controller_gone: Callable[[], bool] = lambda: False,
    keys: ClientKeys | None = None,
) -> int:
    """Take the seat `name` in a run and act until the run ends; returns the process's exit code.

    `controller_gone`, called when nothing has come for a while: is the process that started this one gone? `keys`:
    for the encrypted connection, if the channel server has keys.
    """
    session = Session(run_id, name, build)
    try:
        with Dealer(endpoint, keys=keys) as dealer:
            dealer.send(encode(session.hello()))
            _converse(dealer, session, controller_gone)
    except (ChannelGone, BadFrame) as error:
        session.failure = str(error)
    if session.failure:
        print(f"airtoll node {name}: {session.failure}", file=sys.stderr, flush=True)
    return 1 if session.failure else 0


def _converse(dealer: Dealer, session: Session, controller_gone: Callable[[], bool]) -> None:
    waits = 0
    while not session.over:
        frame = dealer.receive()
        if frame is not None:
            for message in session.handle(decode_for_node(frame)):
                dealer.send(encode(message))
            continue
        waits += 1
        if controller_gone():
            raise ChannelGone("the process that started this node is gone")
        if session.node is None and waits > MAX_WAITS_FOR_WELCOME:
            raise ChannelGone("no channel server answered: check that the run is up and the endpoint is right")
