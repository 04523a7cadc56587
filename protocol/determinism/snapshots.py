"""State of a core as bytes: MessagePack with numpy arrays inside. No pickle."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import msgspec
import numpy as np

PART_BYTES = 16 * 2**20
MAX_STATE_BYTES = 2**32 - 1  # of a MessagePack bin

_ARRAY = 1


def pack(state: Any) -> bytes:
    """Encode nested dicts, lists, scalars, bytes and numpy arrays. ValueError for more than MAX_STATE_BYTES."""
    data = msgspec.msgpack.encode(state, enc_hook=_encode_array)
    if len(data) > MAX_STATE_BYTES:
        raise ValueError(
            f"a state of {len(data)} bytes cannot be saved, at most {MAX_STATE_BYTES}: "
            "run with a smaller replay, or with checkpoint_every: 0"
        )
    return data


def unpack(data: bytes) -> Any:
    """The inverse of `pack`; arrays are fresh and writable, tuples come back as lists."""
    return msgspec.msgpack.decode(data, ext_hook=_decode_array)


def parts(data: bytes) -> Iterator[tuple[bytes, bool]]:
    """Cut a state into parts that fit a frame each, in order; with each part, whether more follow."""
    for begin in range(0, len(data), PART_BYTES):
        yield data[begin : begin + PART_BYTES], begin + PART_BYTES < len(data)


def fields_of(state: Any) -> dict[str, Any]:
    """The fields of a frozen dataclass by name, nested dataclasses as nested dicts."""
    values = {f.name: getattr(state, f.name) for f in fields(state)}
    return {name: fields_of(v) if is_dataclass(v) else v for name, v in values.items()}


def _encode_array(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if not isinstance(value, np.ndarray):
        raise NotImplementedError(f"cannot snapshot a {type(value).__name__}")
    head = [value.dtype.descr if value.dtype.names else value.dtype.str, list(value.shape), value.tobytes()]
    return msgspec.msgpack.Ext(_ARRAY, msgspec.msgpack.encode(head))


def _decode_array(code: int, data: memoryview) -> Any:
    if code != _ARRAY:
        raise ValueError(f"unknown extension {code} in a snapshot")
    kind, shape, raw = msgspec.msgpack.decode(data)
    dtype = np.dtype(kind if isinstance(kind, str) else [tuple(_field(f)) for f in kind])
    return np.frombuffer(raw, dtype).reshape(shape).copy()


def _field(field: list[Any]) -> list[Any]:
    return [field[0], field[1], *(tuple(shape) for shape in field[2:])]
