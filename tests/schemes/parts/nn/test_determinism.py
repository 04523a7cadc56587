"""The settings under which torch repeats its bits."""

import torch

from schemes.parts.nn.determinism import make_deterministic


def test_one_thread_and_deterministic_algorithms() -> None:
    make_deterministic()
    assert torch.get_num_threads() == 1
    assert torch.are_deterministic_algorithms_enabled()
