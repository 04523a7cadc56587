"""The benchmarks' own worlds and schemes run; in a process of their own, for they join its catalogue."""

import subprocess
import sys

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
