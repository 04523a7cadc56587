"""Two thousand mutated frames into a live run; `python -m tests.soak.fuzz` has a hundred thousand."""

import random

from protocol.messages.codec import encode
from protocol.messages.node import Reply
from tests.recording import plan_for
from tests.soak.babble import babble, is_harmless
from tests.soak.fuzz import MAX_MB, fuzz
from tests.soak.mutation import mutated, recorded_frames


def test_mutated_frames_are_counted_and_leave_no_mark() -> None:
    result = fuzz(2000)
    assert (result.state, result.divergence) == ("STOPPED", "")
    assert result.dropped == result.counted > 1900
    assert result.growth_mb < MAX_MB


def test_mutations_are_of_every_kind_and_reproducible() -> None:
    frames = recorded_frames(plan_for("li2020/sla"))
    many = [mutated(frames, random.Random(seed)) for seed in range(300)]
    assert many == [mutated(frames, random.Random(seed)) for seed in range(300)]
    assert {len(parts) for parts in many} >= {1, 2, 3, 4, 5}
    assert sum(parts[0] in frames for parts in many) < 100


def test_seated_peers_send_nothing_that_could_be_a_valid_reply() -> None:
    frames = [encode(Reply(slot, 0, b"\0\0", [])) for slot in (0, 1, 2, 40)]
    assert [is_harmless(frame) for frame in frames] == [True, True, False, False]
    assert len(list(babble(frames, 1, 50))) == 50
