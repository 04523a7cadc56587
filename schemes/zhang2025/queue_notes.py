"""Queue lengths in notes: two bytes per device."""

import numpy as np
import numpy.typing as npt

_MAX_TASKS = 65_535


def encode_queues(tasks: npt.NDArray[np.integer]) -> bytes:
    """Queue lengths [E, n], little-endian 16 bits each; longer queues are sent as 65535."""
    body: bytes = np.minimum(tasks, _MAX_TASKS).astype("<u2").tobytes()
    return body


def decode_queues(body: bytes, replicas: int) -> npt.NDArray[np.int64]:
    """The inverse of `encode_queues`, [E, n]."""
    return np.frombuffer(body, "<u2").reshape(replicas, -1).astype(np.int64)
