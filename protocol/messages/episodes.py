"""How episodes end, replica by replica.

Ends are arrays [E] of uint8: 0 where the episode goes on. The values are bits that a history row's flags have too.
"""

import numpy as np
import numpy.typing as npt

TERMINATED = 2  # nothing follows: the value of what would come next is 0
TRUNCATED = 4  # cut off: the episode could have gone on, but what would have come next was not observed

Ends = npt.NDArray[np.uint8]  # [E]
Mask = npt.NDArray[np.bool_]  # [E]


def going_on(replicas: int) -> Ends:
    """No episode has ended."""
    return np.zeros(replicas, np.uint8)
