"""Conflict graphs: the built-in one by hand, files good and bad."""

from pathlib import Path

import numpy as np
import pytest

from channel_server.worlds.graphs import load

GOOD = """
agents:
  north: [10, 3]
  south: [7]
  far: [1, 2, 5]
conflicts:
  10: [3, 7]
  7: [3]
  5: []
"""


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "graph.yaml"
    path.write_text(text, "utf-8")
    return str(path)


def test_fig2_has_the_eight_out_sets_of_the_figure() -> None:
    graph = load("fig2")
    out = {i: {n for j, n in graph.conflicts if j == i} for i in graph.devices}
    assert out == {
        1: {2, 3, 8},
        2: {1, 3, 8},
        3: {2, 4, 5},
        4: {2, 3, 5},
        5: {4, 6, 7},
        6: {4, 5, 7},
        7: {1, 6, 8},
        8: {1, 6, 7},
    }


def test_fig2_serves_two_devices_each_and_closes_a_ring_of_agents() -> None:
    graph = load("fig2")
    assert graph.serves == ((1, 2), (3, 4), (5, 6), (7, 8))
    assert graph.neighbours == ((1, 3), (0, 2), (1, 3), (0, 2))


def test_fig2_by_position() -> None:
    spoils = load("fig2").spoils
    assert [(np.flatnonzero(row) + 1).tolist() for row in spoils[[0, 6]]] == [[2, 3, 8], [1, 6, 8]]


def test_a_file_with_agents_of_different_size(tmp_path: Path) -> None:
    graph = load(written(tmp_path, GOOD))
    assert graph.agents == ("north", "south", "far")
    assert graph.devices == (10, 3, 7, 1, 2, 5)
    assert graph.conflicts == {(10, 3), (10, 7), (7, 3)}
    assert graph.neighbours == ((1,), (0,), ())
    assert [(own.start, own.stop) for own in graph.own] == [(0, 2), (2, 3), (3, 6)]


@pytest.mark.parametrize(
    ("line", "instead", "complaint"),
    [
        ("7: [3]", "7: [4]", r"conflicts\.7 = 4: no agent serves this device.*known: 1, 2, 3, 5, 7, 10"),
        ("7: [3]", "8: [3]", r"conflicts = 8: no agent serves this device"),
        ("7: [3]", "7: [7]", r"conflicts\.7 = 7: a device cannot conflict with itself"),
        ("7: [3]", "7: 3", r"conflicts\.7 = 3: write a list"),
        ("7: [3]", "10: [3]", r"key 10 is written twice"),
        ("7: [3]", "7: [3", r"cannot be read"),
        ("south: [7]", "south: [7, 10]", r"agents\.south = 10: it is served by 'north' already"),
        ("south: [7]", "south: []", r"agents\.south = \[\]: an agent serves 1 to 127"),
        ("south: [7]", "south: [seven]", r"agents\.south = 'seven': name a device by a whole number"),
        ("south: [7]", "south: [true]", r"agents\.south = True: name a device by a whole number"),
        ("south: [7]", "south: [70000]", r"agents\.south = 70000: name a device by a whole number"),
        ("south: [7]", "trainer: [7]", r"agents = 'trainer': name an agent"),
        ("conflicts:", "conflict:", r"write the two keys 'agents' and 'conflicts'"),
    ],
)
def test_a_bad_file_is_rejected_with_key_value_and_suggestion(
    tmp_path: Path, line: str, instead: str, complaint: str
) -> None:
    path = written(tmp_path, GOOD.replace(line, instead))
    with pytest.raises(ValueError, match=complaint) as rejection:
        load(path)
    assert path in str(rejection.value)


@pytest.mark.parametrize("text", ["", "[1, 2]", "agents: {}\nconflicts: {}", "agents: {a: [1]}\nconflicts: [1]"])
def test_another_shape_is_rejected(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match="write "):
        load(written(tmp_path, text))


def test_a_missing_file_and_a_binary_one_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    for name in ("nowhere.yaml", "binary.yaml"):
        with pytest.raises(ValueError, match=rf"{name}' cannot be read: .*give 'fig2'"):
            load(str(tmp_path / name))


@pytest.mark.parametrize(
    "text",
    ["? [a]\n: 1", "? {a: 1}\n: 1", "a: !!bool abc", "a: !!int ''", "a: 2026-99-99", f"a: {'9' * 6000}", "[" * 1000],
)
def test_a_file_that_pyyaml_stumbles_over_is_rejected(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"cannot be read: .*give 'fig2'"):
        load(written(tmp_path, text))


def test_only_a_yaml_file_is_opened(tmp_path: Path) -> None:
    """By the ending a controller recognises the names of files, which runs submitted to it must not have."""
    (tmp_path / "secret").write_text("a: password\n")
    with pytest.raises(ValueError, match="give 'fig2', or the path of a YAML file") as rejection:
        load(str(tmp_path / "secret"))
    assert "password" not in str(rejection.value)
