"""A run in which some agents send mutated frames over their own connections before their own replies.

A mutation that happens to be a valid Reply to the open turn, or a Bye, would legitimately change the run; the agents
send only what `is_harmless` accepts. Used by `python -m tests.soak.fuzz`.
"""

import random
from collections.abc import Iterator, Mapping
from itertools import islice

import zmq

from agent_node.session import Session
from controller.execution.building import policy_builder
from controller.execution.local_machine import LocalMachine
from controller.execution.machine import Process
from controller.execution.processes import NodeProcesses
from protocol.messages.codec import BadFrame, decode_for_node, decode_for_server, encode
from protocol.messages.node import Bye, Message, Reply, Turn
from protocol.messages.plan import RunPlan
from tests.soak.mutation import RECORDED_SLOTS, Parts, mutated

FIRST_SLOT = 10  # the mutations start after the slots whose frames are recorded
PER_REPLY = 5


class Babbled(NodeProcesses):
    """The agents of `seeds` send `share` mutations of `frames` each."""

    def __init__(self, plan: RunPlan, frames: list[bytes], seeds: Mapping[str, int], share: int) -> None:
        super().__init__(plan)
        self._frames, self._seeds, self._share = frames, seeds, share

    def start_node(self, name: str) -> Process:
        if name not in self._seeds:
            return super().start_node(name)
        arguments = (self.endpoint, self.plan.run_id, name, self._frames, self._seeds[name], self._share)
        self.nodes[name] = LocalMachine().start(babbling_process, *arguments)
        return self.nodes[name]


def babbling_process(endpoint: str, run_id: str, name: str, frames: list[bytes], seed: int, share: int) -> None:
    """The process of an agent that sends mutations."""
    session, mutations = Session(run_id, name, policy_builder(name)), babble(frames, seed, share)
    with zmq.Context() as context, context.socket(zmq.DEALER) as server:
        server.connect(endpoint)
        server.send(encode(session.hello()))
        while not session.over:
            message = decode_for_node(server.recv())
            if isinstance(message, Turn) and message.slot >= FIRST_SLOT:
                for parts in islice(mutations, PER_REPLY):
                    server.send_multipart(parts)
            for reply in session.handle(message):
                server.send(encode(reply))


def babble(frames: list[bytes], seed: int, share: int) -> Iterator[Parts]:
    """The mutations that an agent sends in addition to its replies."""
    rng = random.Random(seed)
    while share:
        parts = mutated(frames, rng)
        if len(parts) > 1 or is_harmless(parts[0]):
            share -= 1
            yield parts


def is_harmless(frame: bytes) -> bool:
    """Whether a frame changes nothing from any sender: it cannot be read, or replies to no turn that may be open."""
    match read(frame):
        case Reply(slot):
            return slot < RECORDED_SLOTS
        case Bye():
            return False
        case _:
            return True


def read(frame: bytes) -> Message | None:
    """The message in a frame; None if it cannot be read."""
    try:
        return decode_for_server(frame)
    except BadFrame:
        return None
