"""The benchmarks' own worlds and schemes run, in a process of their own, for they join its catalogue; plain ports agree
with what they are measured against."""

import subprocess
import sys

import numpy as np
import pytest

from benchmarks import allocation, traffic_cells
from schemes.parts.solvers import fp, wmmse
from schemes.parts.solvers.ascent import iterate

_CODE = """\
from benchmarks import cells, replicas
cells.install()
for shape in replicas.SHAPES:
    shape.loop(3, 2)
    replicas.run(shape, 3, 2)
"""


def test_both_shapes_run_with_replicas() -> None:
    ran = subprocess.run([sys.executable, "-c", _CODE], capture_output=True, text=True, timeout=100, check=False)
    assert not ran.returncode, ran.stderr


def test_plain_ports_of_fp_and_wmmse_arrive_where_the_solvers_do() -> None:
    problem = allocation.instances().take(np.arange(2))
    limit_w = float(problem.max_w[0, 0])
    for step, port in ((fp.step, allocation.plain_fp), (wmmse.step, allocation.plain_wmmse)):
        ours_w = iterate(step, problem, problem.max_w, allocation.ITERATIONS)
        theirs_w = np.stack([port(g, w, limit_w) for g, w in zip(problem.gains, problem.weights, strict=True)])
        np.testing.assert_allclose(ours_w, theirs_w, rtol=1e-6, atol=1e-9 * limit_w)


def test_the_plain_network_delivers_what_traffic_cells_does() -> None:
    (_, ours_mbit), (_, theirs_mbit) = traffic_cells.run(60, 4), traffic_cells.plain(120)
    assert ours_mbit == pytest.approx(theirs_mbit, rel=0.08)
