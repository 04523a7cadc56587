"""Reads files that are streams of MessagePack arrays, with the plain msgpack package."""

from pathlib import Path
from typing import Any

import msgpack


def read_arrays(path: Path, length: int) -> list[tuple[Any, ...]]:
    """All arrays of `length` items in a file. ValueError when it is damaged or truncated, with the byte."""
    data = path.read_bytes()
    # `max_array_len`: a damaged length must not make the unpacker reserve memory for it
    unpacker = msgpack.Unpacker(max_buffer_size=0, use_list=False, max_array_len=length)
    unpacker.feed(data)
    arrays: list[tuple[Any, ...]] = []
    whole = 0
    try:
        for array in unpacker:
            if not isinstance(array, tuple) or len(array) != length:
                raise ValueError(f"not an array of {length} items")
            arrays.append(array)
            whole = unpacker.tell()
    except (ValueError, msgpack.UnpackException) as error:
        raise ValueError(f"{path} is damaged after byte {whole}: {error}") from error
    if whole != len(data):
        raise ValueError(f"{path} is truncated: its last entry, from byte {whole}, is incomplete")
    return arrays
