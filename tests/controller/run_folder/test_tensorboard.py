"""Event files: what is written can be read back; a missing package is reported before a folder is created."""

import struct
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from controller.config.errors import ConfigError
from controller.run_folder import tensorboard
from controller.run_folder.writer import RunWriter
from protocol.messages.telemetry import Scalars, Window
from tests.airtoll.folders import config, ended, make

RECORD = {"tensorboard": True}


def test_metrics_and_scalars_come_back(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    window = Window("eval", 0, 3, {"rate": 6.0, "idle": 0.0}, {"rate": 4.0, "idle": 0.0})
    make(tmp_path / "a", [window, Scalars(2, "trainer", {"loss": 0.25}), ended()], record=RECORD)
    assert list(_read(tmp_path / "a" / "tensorboard")) == [("metrics/rate", 3, 1.5), ("trainer/loss", 2, 0.25)]


def test_no_files_without_the_setting_nor_without_metrics(tmp_path: Path) -> None:
    make(tmp_path / "a", [Scalars(2, "trainer", {"loss": 0.25}), ended()])
    make(tmp_path / "b", [ended()], record=RECORD)
    assert not [path for name in "ab" for path in (tmp_path / name).glob("tensorboard*")]


def test_a_missing_package_is_reported_before_a_folder_is_created(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tensorboard, "_PACKAGE", "tensorboard_of_nobody")
    with pytest.raises(ConfigError, match=r"pip install 'airtoll\[tensorboard\]'"):
        RunWriter.create(config(record=RECORD), at=tmp_path / "a")
    assert not (tmp_path / "a").exists()


def _read(folder: Path) -> Iterator[tuple[str, int, float]]:
    """Tag, step, value of every scalar: records are length (8), checksum (4), event, checksum (4)."""
    event_type: Any = import_module("tensorboardX.proto.event_pb2").Event
    (path,) = folder.iterdir()
    data, at = path.read_bytes(), 0
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        event = event_type.FromString(data[at + 12 : at + 12 + length])
        yield from ((value.tag, event.step, value.simple_value) for value in event.summary.value)
        at += length + 16
