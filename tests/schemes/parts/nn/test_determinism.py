import torch

from schemes.parts.nn.determinism import settle


def test_one_thread_and_no_chance() -> None:
    settle()
    assert torch.get_num_threads() == 1
    assert torch.are_deterministic_algorithms_enabled()
