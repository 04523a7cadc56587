"""The weights of a run's nodes: read, requested from a running run, and uploaded to it."""

import asyncio
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from safetensors import SafetensorError, deserialize

from controller.config.catalogue import scheme_named
from controller.run_folder.orders import Orders
from controller.run_folder.reader import RunFolder
from controller.service.limits import WEIGHTS_POLL_S, WEIGHTS_TIMEOUT_S
from controller.service.queries import open_folder
from controller.service.run_manager import LIVE_STATES, RunManager, WrongStateError, wrong_state
from controller.service.store import Run
from protocol.messages.orders import ReportWeights, UploadWeights
from schemes.parts.weights import body_of

_MAX_METADATA_BYTES = 1 << 16  # in a header, besides what it says of the tensors
_FLOATS: dict[str, np.dtype[Any]] = {"F16": np.dtype("<f2"), "F32": np.dtype("<f4"), "F64": np.dtype("<f8")}


class NoWeightsError(LookupError):
    """No weights of this node are stored, or none that were sent in this slot."""


class WrongTensorsError(ValueError):
    """Weights that do not fit the node's networks; the message names the tensor."""


class UnreadableWeightsError(ValueError):
    """The body is not in safetensors format."""


class WeightsTimeoutError(Exception):
    """A run does not report its weights in time."""


@dataclass(frozen=True)
class NodeWeights:
    """Weights that were sent to a node in slot `sent_slot`: by the trainer, or uploaded by a user; or that it had
    learnt by itself by then."""

    node: str
    sent_slot: int
    bytes: int
    origin: Literal["trainer", "uploaded", "node"]


class WeightsService:
    """Reads the weights of runs, and uploads weights to them."""

    def __init__(self, manager: RunManager) -> None:
        self._manager = manager
        self._requests: dict[str, asyncio.Task[None]] = {}

    async def stored(self, run_id: str) -> list[NodeWeights]:
        """The weights that are stored, by node, the newest first. NoSuchRunError, WeightsTimeoutError."""
        return await asyncio.to_thread(_stored, await self._up_to_date(run_id))

    async def read(self, run_id: str, node: str, sent_slot: int | None) -> tuple[int, bytes]:
        """The slot in which a node's weights were sent, and the weights as safetensors, by default the newest.
        NoSuchRunError, WeightsTimeoutError, NoWeightsError."""
        return await asyncio.to_thread(_read, await self._up_to_date(run_id), node, sent_slot)

    async def put(self, run_id: str, node: str, data: bytes) -> Run:
        """Send a node these weights in the run's next slot.

        WrongStateError for a run that is not running or whose trainer sends no weights; NoWeightsError for a node that
        is not one of its agents; WrongTensorsError, UnreadableWeightsError, TooManyOrdersError.
        """
        run = await self._manager.get(run_id)
        if run.state not in LIVE_STATES:
            raise wrong_state(run, "sent weights", LIVE_STATES)
        folder = open_folder(run)
        await asyncio.to_thread(_check_sends_weights, folder)
        newest = await self._newest(run_id, node)
        await asyncio.to_thread(check_tensors, data, newest)
        await asyncio.to_thread(Orders(run.folder).give, UploadWeights(Orders.new_id(), node, body_of(data)))
        return run

    async def _newest(self, run_id: str, node: str) -> bytes:
        try:
            return (await self.read(run_id, node, None))[1]
        except NoWeightsError as error:
            if node not in await asyncio.to_thread(_agents, open_folder(await self._manager.get(run_id))):
                raise
            raise WrongStateError(
                f"{error}: wait until the trainer has sent it some: yours must have the same tensors"
            ) from error

    async def _up_to_date(self, run_id: str) -> RunFolder:
        """The run's folder, once it has the newest weights. Concurrent calls share one request to the run."""
        run = await self._manager.get(run_id)
        if run.state in LIVE_STATES:
            request = self._requests.get(run_id)
            if request is None:
                request = self._requests[run_id] = asyncio.create_task(self._request(run))
                request.add_done_callback(lambda _: self._requests.pop(run_id))
            await asyncio.shield(request)  # a client that disconnects must not cancel the request that others share
        return open_folder(run)

    async def _request(self, run: Run) -> None:
        orders, order = Orders(run.folder), ReportWeights(Orders.new_id())
        await asyncio.to_thread(orders.give, order)
        try:
            async with asyncio.timeout(WEIGHTS_TIMEOUT_S):
                while await asyncio.to_thread(orders.is_pending, order.id) and await self._is_live(run.id):
                    await asyncio.sleep(WEIGHTS_POLL_S)
        except TimeoutError as error:
            raise WeightsTimeoutError(
                f"the run did not report its weights within {WEIGHTS_TIMEOUT_S:g} s; try again later"
            ) from error
        finally:
            orders.withdraw(order.id)

    async def _is_live(self, run_id: str) -> bool:
        return (await self._manager.get(run_id)).state in LIVE_STATES


def check_tensors(data: bytes, reference: bytes) -> None:
    """WrongTensorsError unless both have tensors of equal names, dtypes and shapes, with finite numbers;
    UnreadableWeightsError."""
    _check_header(data, reference)
    given, expected = _tensors(data), _tensors(reference)
    if missing := sorted(expected.keys() - given.keys()):
        raise WrongTensorsError(f"the tensor {missing[0]!r} is missing; the node has {', '.join(sorted(expected))}")
    if unknown := sorted(given.keys() - expected.keys()):
        raise WrongTensorsError(f"the node has no tensor {unknown[0][:80]!r}, only {', '.join(sorted(expected))}")
    for name, tensor in given.items():
        ours = expected[name]
        for what in ("dtype", "shape"):
            if tensor[what] != ours[what]:
                raise WrongTensorsError(f"the tensor {name!r} has {what} {tensor[what]}, the node's has {ours[what]}")
        floats = _FLOATS.get(tensor["dtype"])
        if floats is not None and not np.isfinite(np.frombuffer(tensor["data"], floats)).all():
            raise WrongTensorsError(f"the tensor {name!r} has numbers that are not finite")


def _check_header(data: bytes, reference: bytes) -> None:
    """UnreadableWeightsError for a header that is longer than any of the node's tensors needs: parsing it takes long,
    and holds up all other requests."""
    allowed = _header_bytes(reference) + _MAX_METADATA_BYTES
    if _header_bytes(data) > allowed:
        raise UnreadableWeightsError(
            f"the body is not in safetensors format: its header has {_header_bytes(data)} bytes, allowed are {allowed}"
        )


def _header_bytes(data: bytes) -> int:
    """The length of the header, from the first 8 bytes."""
    return int.from_bytes(data[:8], "little")


def _tensors(data: bytes) -> dict[str, Any]:
    """Dtype, shape and data by name."""
    try:
        return dict(deserialize(data))  # type: ignore[no-untyped-call]
    except SafetensorError as error:
        raise UnreadableWeightsError(f"the body is not in safetensors format: {error}") from error


def _check_sends_weights(folder: RunFolder) -> None:
    meta = folder.meta
    scheme = meta.scheme
    if scheme_named(scheme).training is None:
        raise WrongStateError(f"{scheme} sends no weights: there are none to replace")
    if not meta.has_trainer:
        raise WrongStateError(f"{scheme} learns at the nodes in this run: no weights are sent to them")


def _agents(folder: RunFolder) -> list[str]:
    return folder.meta.agent_names


def _stored(folder: RunFolder) -> list[NodeWeights]:
    by_run: Literal["trainer", "node"] = "trainer" if folder.meta.has_trainer else "node"
    return [
        NodeWeights(name, found.sent_slot, found.bytes, "uploaded" if found.uploaded else by_run)
        for index, name in enumerate(_agents(folder))
        for found in folder.weights.stored(index)
    ]


def _read(folder: RunFolder, node: str, sent_slot: int | None) -> tuple[int, bytes]:
    agents = _agents(folder)
    if node not in agents:
        raise NoWeightsError(f"no agent is named {node!r}; the run has {', '.join(agents[:20])}")
    slots = [found.sent_slot for found in folder.weights.stored(agents.index(node))]
    if not slots:
        raise NoWeightsError(f"no weights have been sent to {node} yet")
    slot = slots[0] if sent_slot is None else sent_slot
    if slot not in slots:
        raise NoWeightsError(
            f"sent_slot: no weights of {node} from slot {slot} are stored, only {', '.join(map(str, slots))}"
        )
    try:
        return slot, folder.weights.read(agents.index(node), slot)
    except FileNotFoundError as error:
        raise NoWeightsError(
            f"sent_slot: the weights of {node} from slot {slot} have been dropped for newer ones"
        ) from error
