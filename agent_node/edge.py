"""A node as a process: the loop that carries messages between the channel server's socket and the node's session."""

import sys
from collections.abc import Callable

from agent_node.core import BuildPolicy
from agent_node.session import Session
from protocol.messages.codec import BadFrame, decode_for_node, encode
from protocol.transports.dealer import ConnectionLost, Dealer
from protocol.transports.keys import ClientKeys
from protocol.transports.running_time import RunningTime

WELCOME_TIMEOUT_S = 60.0


def run_node(
    endpoint: str,
    run_id: str,
    name: str,
    build: BuildPolicy,
    *,
    controller_gone: Callable[[], bool] = lambda: False,
    keys: ClientKeys | None = None,
) -> int:
    """Join a run as the node `name` and act until the run ends; returns the process's exit code.

    `build` makes the node's policy from the Welcome. `controller_gone`: whether the process that started this one has
    exited; it is called whenever nothing has arrived for a while. `keys`: those of an encrypted connection.
    """
    session = Session(run_id, name, build)
    try:
        with Dealer(endpoint, keys=keys) as dealer:
            dealer.send(encode(session.hello()))
            _exchange_messages(dealer, session, controller_gone)
    except (ConnectionLost, BadFrame) as error:
        session.failure = str(error)
    if session.failure:
        print(f"airtoll node {name}: {session.failure}", file=sys.stderr, flush=True)
    return 1 if session.failure else 0


def _exchange_messages(dealer: Dealer, session: Session, controller_gone: Callable[[], bool]) -> None:
    running_time = RunningTime()
    started = running_time.now()
    while not session.over:
        frame = dealer.receive()
        if frame is not None:
            for message in session.handle(decode_for_node(frame)):
                dealer.send(encode(message))
            continue
        if controller_gone():
            raise ConnectionLost("the process that started this node is gone")
        if session.node is None and running_time.now() - started > WELCOME_TIMEOUT_S:
            raise ConnectionLost("no channel server answered: check that the run is up and the endpoint is right")
