"""The cost of many agents on one machine: seconds from the command to the first slot, and each agent's own memory.

Own memory is PSS (proportional set size): pages shared with other processes are divided among them.

    python -m benchmarks.footprint [agents ...]
"""

from protocol.determinism import threads

threads.pin()

import re  # noqa: E402
import statistics  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

import psutil  # noqa: E402

AGENTS = (50, 300)
LIMIT_S = {50: 5.0}  # from command to first slot
LIMIT_MB = 12.0


def main() -> int:
    """Print the measurements; 1 if one is over its limit."""
    failed = False
    for agents in [int(a) for a in sys.argv[1:]] or AGENTS:
        seconds, pss_mb, state = measure(agents)
        limit_s = LIMIT_S.get(agents)
        failed |= seconds > (limit_s or seconds) or statistics.median(pss_mb) > LIMIT_MB or state != "STOPPED"
        print(f"{agents} agents: first slot after {seconds:.2f} s (at most {limit_s or '-'})")
        print(
            f"  own memory of an agent: median {statistics.median(pss_mb):.1f} MB, max {max(pss_mb):.1f} MB "
            f"(at most {LIMIT_MB:.0f}); ended {state}",
            flush=True,
        )
    return int(failed)


def measure(agents: int) -> tuple[float, list[float], str]:
    """Seconds to the first slot, PSS of every agent in MB, and the state in which the interrupted run ended."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, config = Path(scratch) / "run", Path(scratch) / "run.yaml"
        config.write_text(
            f"world: {{name: d2d_underlay, pairs: {agents}}}\nscheme: li2020/untrained_actor\nslots: 1000000\n"
        )
        began = time.monotonic()
        with subprocess.Popen(
            [sys.executable, "-m", "airtoll", "run", str(config), "--out", str(folder)], stderr=subprocess.DEVNULL
        ) as run:
            while not _has_begun(folder):
                if run.poll() is not None or time.monotonic() - began > 120:
                    raise RuntimeError((folder / "log.txt").read_text())
                time.sleep(0.01)
            seconds = time.monotonic() - began
            time.sleep(2)  # let the agents work, so that they use their memory
            pss_mb = [_pss_mb(pid) for pid in _agents(run.pid, agents)]
            run.terminate()
            run.wait(60)
        state = re.search(r'"state": "(\w+)"', (folder / "summary.json").read_text())
        return seconds, pss_mb, state[1] if state else "?"


def _has_begun(folder: Path) -> bool:
    trace = folder / "trace.bin"
    return trace.exists() and trace.stat().st_size > 0


def _agents(launcher: int, agents: int) -> list[int]:
    """The forkserver's children without the first, which is the channel server."""
    [forkserver] = [
        p for p in psutil.Process(launcher).children() if "forkserver" in " ".join(p.cmdline()) and p.children()
    ]
    children = sorted(forkserver.children(), key=lambda p: (p.create_time(), p.pid))
    if len(children) != agents + 1:
        raise RuntimeError(f"{len(children)} processes instead of {agents + 1}")
    return [p.pid for p in children[1:]]


def _pss_mb(pid: int) -> float:
    return float(psutil.Process(pid).memory_full_info().pss) / 1e6


if __name__ == "__main__":
    sys.exit(main())
