"""Queue lengths in notes: two bytes per device."""

import numpy as np
import numpy.typing as npt

_MAX_TASKS = 65_535


def encode_queues(tasks: npt.NDArray[np.integer]) -> bytes:
    """Queue lengths [E, n], little-endian 16 bits each; longer queues are sent as 65535."""
    body: bytes = np.minimum(tasks, _MAX_TASKS).astype("<u2").tobytes()
    return body


def decode_queues(body: bytes, replicas: int, devices: int) -> npt.NDArray[np.int64]:
    """The inverse of `encode_queues` for so many devices n, [E, n]. ValueError for a body of another length."""
    return np.frombuffer(body, "<u2").reshape(replicas, devices).astype(np.int64)
