"""The torch settings that make two runs of the same computation give the same bits; every learner sets them first."""

import torch


def make_deterministic() -> None:
    """One thread and deterministic algorithms, for the whole process."""
    torch.set_num_threads(1)  # sums split over threads change their last bits
    torch.use_deterministic_algorithms(True)
    # deterministic mode fills fresh tensors with NaN otherwise; learners write before they read, so that is only cost
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
