"""What makes torch give the same bits twice, set when a learner is built."""

import torch


def settle() -> None:
    """One thread and deterministic algorithms, for the whole process.

    Fresh tensors are not filled with NaN, as deterministic mode otherwise does: every learner writes before it reads.
    """
    torch.set_num_threads(1)  # sums split over threads change their last bits
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
