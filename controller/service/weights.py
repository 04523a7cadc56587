"""The weights of a run's nodes, for those who look at them or bring their own: asked of the run while it goes on."""

import asyncio
from dataclasses import dataclass
from typing import Any

import numpy as np
from safetensors import SafetensorError, deserialize

from controller.config.catalogue import scheme_named
from controller.run_folder.orders import Orders
from controller.run_folder.reader import RunFolder
from controller.run_folder.status import State
from controller.service.run_manager import RunManager, WrongStateError
from controller.service.store import Run
from protocol.messages.orders import PutWeights, ReportWeights
from schemes.parts.weights import body_of

MAX_BYTES = 16 * 2**20
WEIGHTS_TIMEOUT_S = 30.0  # a process that loads what it learns with is silent meanwhile
_POLL_INTERVAL_S = 0.1
_GOES_ON = (State.RUNNING, State.PAUSED)
_FLOATS: dict[str, np.dtype[Any]] = {"F16": np.dtype("<f2"), "F32": np.dtype("<f4"), "F64": np.dtype("<f8")}


class NoWeightsError(LookupError):
    """There are none of this node, or of this version."""


class NotTheseError(ValueError):
    """Weights that the node cannot act by; says which tensor is why."""


class UnreadableWeightsError(ValueError):
    """No safetensors."""


class SilentError(Exception):
    """The run goes on, and yet does not answer."""


@dataclass(frozen=True)
class NodeWeights:
    """Weights that a node was given, and by whom: `trainer` or `hand`."""

    node: str
    version: int
    bytes: int
    by: str


class WeightsService:
    """Looks at the weights of an owner's runs, and passes on those that are brought."""

    def __init__(self, manager: RunManager) -> None:
        self._manager = manager
        self._asking: dict[str, asyncio.Task[None]] = {}

    async def versions(self, run_id: str) -> list[NodeWeights]:
        """What is kept, by node, the newest first. NoSuchRunError, SilentError."""
        return await asyncio.to_thread(_versions, await self._up_to_date(run_id))

    async def read(self, run_id: str, node: str, version: int | None) -> tuple[int, bytes]:
        """A version and its weights as safetensors, by default the newest. NoWeightsError as well."""
        return await asyncio.to_thread(_read, await self._up_to_date(run_id), node, version)

    async def put(self, run_id: str, node: str, data: bytes) -> Run:
        """Have the run give these to a node in its next slot.

        WrongStateError if it does not go on, or tells no weights; NoWeightsError for a node that is none of its agents;
        NotTheseError, UnreadableWeightsError; TooManyOrdersError.
        """
        run = await self._manager.get(run_id)
        if run.state not in _GOES_ON:
            raise WrongStateError(
                f"a run that is {run.state.value} cannot be given weights: it must be RUNNING, PAUSED"
            )
        folder = RunFolder.open(run.folder)
        await asyncio.to_thread(_check_tells_weights, folder)
        _, newest = await self._in_force(run_id, node)
        await asyncio.to_thread(check_like, data, newest)
        await asyncio.to_thread(Orders(run.folder).give, PutWeights(Orders.new_id(), node, body_of(data)))
        return run

    async def _in_force(self, run_id: str, node: str) -> tuple[int, bytes]:
        try:
            return await self.read(run_id, node, None)
        except NoWeightsError as error:
            if node not in await asyncio.to_thread(_agents, RunFolder.open((await self._manager.get(run_id)).folder)):
                raise
            raise WrongStateError(
                f"{error}: wait until the trainer has told it some, that yours are held against"
            ) from error

    async def _up_to_date(self, run_id: str) -> RunFolder:
        """The run's folder, once it has the newest weights. Who asks meanwhile shares the answer."""
        run = await self._manager.get(run_id)
        if run.state in _GOES_ON:
            asking = self._asking.get(run_id)
            if asking is None:
                asking = self._asking[run_id] = asyncio.create_task(self._ask(run))
                asking.add_done_callback(lambda _: self._asking.pop(run_id))
            await asyncio.shield(asking)
        return RunFolder.open(run.folder)

    async def _ask(self, run: Run) -> None:
        orders, order = Orders(run.folder), ReportWeights(Orders.new_id())
        await asyncio.to_thread(orders.give, order)
        try:
            async with asyncio.timeout(WEIGHTS_TIMEOUT_S):
                while await asyncio.to_thread(orders.is_pending, order.id) and await self._goes_on(run.id):
                    await asyncio.sleep(_POLL_INTERVAL_S)
        except TimeoutError as error:
            raise SilentError(
                f"the run did not tell its weights within {WEIGHTS_TIMEOUT_S:g} s; come again later"
            ) from error
        finally:
            orders.withdraw(order.id)

    async def _goes_on(self, run_id: str) -> bool:
        return (await self._manager.get(run_id)).state in _GOES_ON


def check_like(data: bytes, known: bytes) -> None:
    """NotTheseError unless both have the same tensors, with finite numbers; UnreadableWeightsError."""
    given, wanted = _tensors(data), _tensors(known)
    if missing := sorted(wanted.keys() - given.keys()):
        raise NotTheseError(f"the tensor {missing[0]!r} is missing; the node has {', '.join(sorted(wanted))}")
    if strange := sorted(given.keys() - wanted.keys()):
        raise NotTheseError(f"the node has no tensor {strange[0][:80]!r}, only {', '.join(sorted(wanted))}")
    for name, tensor in given.items():
        ours = wanted[name]
        for what in ("dtype", "shape"):
            if tensor[what] != ours[what]:
                raise NotTheseError(f"the tensor {name!r} has {what} {tensor[what]}, the node's has {ours[what]}")
        floats = _FLOATS.get(tensor["dtype"])
        if floats is not None and not np.isfinite(np.frombuffer(tensor["data"], floats)).all():
            raise NotTheseError(f"the tensor {name!r} has numbers that are not finite")


def _tensors(data: bytes) -> dict[str, Any]:
    """By name: dtype, shape, data."""
    try:
        return dict(deserialize(data))  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise UnreadableWeightsError(f"the body is no safetensors: {error}") from error


def _check_tells_weights(folder: RunFolder) -> None:
    meta = folder.meta
    scheme = meta.scheme
    if scheme_named(scheme).training is None:
        raise WrongStateError(f"{scheme} tells no weights: there are none to replace")
    if not meta.has_trainer:
        raise WrongStateError(f"{scheme} learns at the nodes here: no weights are told to them")


def _agents(folder: RunFolder) -> list[str]:
    return folder.meta.agent_names


def _versions(folder: RunFolder) -> list[NodeWeights]:
    return [
        NodeWeights(name, kept.sent_slot, kept.bytes, "hand" if kept.uploaded else "trainer")
        for index, name in enumerate(_agents(folder))
        for kept in folder.weights.versions(index)
    ]


def _read(folder: RunFolder, node: str, version: int | None) -> tuple[int, bytes]:
    agents = _agents(folder)
    if node not in agents:
        raise NoWeightsError(f"no agent is named {node!r}; the run has {', '.join(agents[:20])}")
    kept = [stored.sent_slot for stored in folder.weights.versions(agents.index(node))]
    if not kept:
        raise NoWeightsError(f"no weights have been told to {node} yet")
    wanted = kept[0] if version is None else version
    if wanted not in kept:
        raise NoWeightsError(f"version: {wanted} is not kept of {node}; kept are {', '.join(map(str, kept))}")
    try:
        return wanted, folder.weights.read(agents.index(node), wanted)
    except FileNotFoundError as error:
        raise NoWeightsError(f"version: {wanted} of {node} has just been dropped for newer ones") from error
