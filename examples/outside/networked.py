"""A policy that was trained outside, as nodes over the emulated air: the same return as the learner's own evaluation.

    python -m examples.outside.networked policy.safetensors

Plays the slots for evaluation twice, by the network of the file: in the environment, and as a run of `ours/network` in
which every pair is an operating-system process. The channels are the same, and so is the arithmetic: both traces are
compared bit for bit.
"""

import airtoll  # isort: skip: it sets the number of threads, before numpy is imported

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from airtoll.analysis.diff import Verdict, compare
from airtoll.environments.pettingzoo import Observation
from airtoll.environments.sense import Measured
from controller.run_folder.reader import RunFolder
from examples.outside import cell
from schemes.ours.policy_file import read
from schemes.parts.embedded_file import EmbeddedFile


def in_environment(path: Path, folder: Path, slots: int) -> float:
    """The mean return per slot of the file's network, played in the environment."""
    inputs = len(cell.scale().mean)
    network = read(EmbeddedFile(path.name, path.read_bytes()), inputs)

    def policy(measured: dict[str, Observation]) -> dict[str, int]:
        return {name: int(np.argmax(network.step(x[None], network.first_state(1))[0])) for name, x in measured.items()}

    return cell.evaluate(policy, Measured, slots, folder=folder)


def as_nodes(path: Path, folder: Path, slots: int) -> float:
    """The same as a run, a process per pair."""
    scheme = {"name": "ours/network", "network": str(path.absolute()), "view": cell.VIEW}
    summary = airtoll.run(cell.CONFIG | {"scheme": scheme, "slots": slots}, folder=folder)
    return float(summary["metrics"]["reward_total"])


def main(path: Path, slots: int = cell.EVAL_SLOTS) -> Verdict:
    """Play both, and compare their traces."""
    with TemporaryDirectory() as scratch:
        outside, nodes = Path(scratch, "outside"), Path(scratch, "nodes")
        learner, networked = in_environment(path, outside, slots), as_nodes(path, nodes, slots)
        verdict = compare(RunFolder.open(outside / "run-1"), RunFolder.open(nodes))
    print(f"reward_total in the environment {learner!r}, as nodes {networked!r}")
    print(*verdict.lines, sep="\n")
    return verdict


if __name__ == "__main__":
    sys.exit(not main(Path(sys.argv[1])).equal)
