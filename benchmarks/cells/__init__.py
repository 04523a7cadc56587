"""Two cellular networks for benchmarks, with a scheme each: the shapes of khan2020 and zhang2025, not their systems.

`plugin/` declares them as an installed package would, so that runs find them by name once it is on `sys.path`.
"""

import sys
from pathlib import Path


def install() -> None:
    """Let this process find the worlds and schemes by name."""
    plugin = str(Path(__file__).with_name("plugin"))
    if plugin not in sys.path:
        sys.path.append(plugin)
