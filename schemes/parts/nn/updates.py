"""The updates of a learner that draws minibatches from a replay."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from schemes.parts.replay import Replay


def run_updates(
    update: Callable[[], Tensor], updates: int, *, replay: Replay, batch: int, statistics: Sequence[str]
) -> dict[str, float]:
    """Call `update` that many times; the means of the statistics that it returns, by name. Nothing and {} before the
    replay holds a minibatch."""
    if updates < 1 or len(replay) < batch:
        return {}
    means = torch.stack([update() for _ in range(updates)]).mean(0).tolist()
    return dict(zip(statistics, means, strict=True))
