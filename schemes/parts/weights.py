"""The body of a weights note: the policy version, then safetensors in float32, float16, or int8 with a scale each."""

import json
from collections.abc import Mapping
from struct import Struct
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load, save

Precision = Literal["float32", "float16", "int8"]
Weights = Mapping[str, npt.NDArray[Any]]
_version = Struct("<I")
_SCALE = ".scale"
_HEADER_BYTES = 8  # of the length of a safetensors header


def write_weights(weights: Weights, policy_version: int, precision: Precision) -> bytes:
    """The body of a weights note: `policy_version` as uint32, then the tensors in `precision`."""
    match precision:
        case "int8":
            tensors = {name: part for key, w in weights.items() for name, part in _quantised(key, w).items()}
        case _:
            tensors = {key: np.ascontiguousarray(w, precision) for key, w in weights.items()}
    return _version.pack(policy_version) + save(tensors)


def read_weights(body: bytes) -> tuple[int, dict[str, npt.NDArray[np.float32]]]:
    """Policy version and float32 weights of a note. ValueError for a body without a version, or without safetensors."""
    if len(body) < _version.size:
        raise ValueError("a weights note without a policy version")
    try:
        tensors = load(body[_version.size :])
    except SafetensorError as error:
        raise ValueError(f"the weights are not in safetensors format: {error}") from error
    names = [name for name in tensors if not name.endswith(_SCALE)]
    return _version.unpack_from(body)[0], {name: _restored(tensors, name) for name in names}


def safetensors_in(body: bytes) -> bytes:
    """The safetensors in the body of a weights note, after the policy version."""
    return body[_version.size :]


def body_of(safetensors: bytes) -> bytes:
    """The body of a note with uploaded weights, which no trainer has made: policy version 0."""
    return _version.pack(0) + safetensors


def with_metadata(safetensors: bytes, metadata: Mapping[str, str]) -> bytes:
    """The same tensors, and these metadata. ValueError for bytes that are no safetensors."""
    length = int.from_bytes(safetensors[:_HEADER_BYTES], "little")
    try:
        header = json.loads(safetensors[_HEADER_BYTES : _HEADER_BYTES + length])
    except ValueError as error:
        raise ValueError(f"the weights are not in safetensors format: {error}") from error
    text = json.dumps({"__metadata__": dict(metadata)} | header).encode()
    text += b" " * (-len(text) % _HEADER_BYTES)  # the tensors begin at a multiple of 8 bytes
    return len(text).to_bytes(_HEADER_BYTES, "little") + text + safetensors[_HEADER_BYTES + length :]


def _quantised(name: str, weight: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
    """Symmetric: the largest magnitude becomes 127."""
    scale = np.float32(max(float(np.abs(weight).max(initial=0.0)), 1e-30) / 127)
    return {name: np.rint(weight / scale).astype(np.int8), name + _SCALE: np.array([scale], np.float32)}


def _restored(tensors: Mapping[str, npt.NDArray[Any]], name: str) -> npt.NDArray[np.float32]:
    weight = tensors[name].astype(np.float32)
    return weight * tensors[name + _SCALE] if name + _SCALE in tensors else weight
