"""Weights in a run's folder: the newest of each node, and all that were uploaded."""

from pathlib import Path

import numpy as np
import pytest

from controller.run_folder.weights import MAX_KEPT, WeightsFolder
from protocol.messages.telemetry import Weights
from schemes.parts.weights import body_of, read_weights, write_weights


def _given(slot: int, *, node: int = 0, uploaded: bool = False) -> Weights:
    return Weights(node, slot, _body(slot), uploaded)


def _body(slot: int) -> bytes:
    return write_weights({"0.bias": np.array([slot], np.float32)}, 0, "float32")


def test_the_newest_are_kept_and_uploaded_ones_stay(tmp_path: Path) -> None:
    kept = WeightsFolder(tmp_path)
    assert kept.stored(0) == []
    kept.add(_given(2, uploaded=True))
    for slot in range(20):
        kept.add(_given(slot))
    kept.add(_given(15, uploaded=True))
    assert [version.sent_slot for version in kept.stored(0)] == list(range(19, 19 - MAX_KEPT, -1))
    assert [version.sent_slot for version in kept.stored(0) if version.uploaded] == [15]
    assert kept.uploaded(0, 2) == _body(2)  # a replay sends the same bytes again
    assert read_weights(body_of(kept.read(0, 19)))[1] == {"0.bias": np.float32(19)}
    assert kept.stored(1) == []


def test_a_rollback_drops_later_weights(tmp_path: Path) -> None:
    kept = WeightsFolder(tmp_path)
    for slot in (9, 10, 11):
        kept.add(_given(slot))
        kept.add(_given(slot, node=1, uploaded=True))
    kept.drop_after(10)
    assert [version.sent_slot for version in kept.stored(0)] == [9]
    assert kept.uploaded(1, 9) == _body(9)
    with pytest.raises(ValueError, match=r"10\.put cannot be read: .*; without it the run cannot be replayed"):
        kept.uploaded(1, 10)


def test_what_a_node_reports_and_is_no_weights_is_not_stored(tmp_path: Path) -> None:
    kept = WeightsFolder(tmp_path)
    for garbage in (b"", b"x", body_of(b"9"), body_of(b"\2" + bytes(7) + b"[]"), body_of(b"\xff" * 20)):
        with pytest.raises(ValueError, match="weights"):
            kept.add(Weights(0, 5, garbage))
    assert kept.stored(0) == []
