"""The fingerprint of a process: all that decides the bits of its arithmetic. Equal fingerprints give equal traces."""

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec
import numpy as np
from xxhash import xxh3_64_hexdigest

from protocol.determinism import threads

_NO_VERSION = "none"  # of a package that is not installed


@cache
def fingerprint() -> dict[str, str]:
    """CPU features, glibc, Python, numpy, BLAS and thread counts of this process.

    RuntimeError if a numerical library would use several threads: the order of its sums changes their last bits.
    """
    threads.verify()
    config = np.show_config(mode="dicts")
    blas = config["Build Dependencies"]["blas"]
    return {
        "machine": platform.machine(),
        "cpu": _cpu_features(),
        "glibc": "-".join(platform.libc_ver()),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "simd": ",".join(config["SIMD Extensions"]["found"]),
        "blas": f"{blas['name']} {blas['version']}",
        "threads": ",".join(f"{name}:{count}" for name, count in sorted(threads.blas().items())),
        "msgspec": msgspec.__version__,
        "torch": _version("torch"),
    }


def differences(ours: dict[str, str], theirs: dict[str, str]) -> list[str]:
    """One line per key in which two fingerprints differ.

    A process without torch computes nothing with it: its version counts only if both have one.
    """
    keys = ours.keys() | theirs.keys()
    if _NO_VERSION in (ours.get("torch", _NO_VERSION), theirs.get("torch", _NO_VERSION)):
        keys -= {"torch"}
    return [
        f"{key}: {ours.get(key)} against {theirs.get(key)}" for key in sorted(keys) if ours.get(key) != theirs.get(key)
    ]


def _version(package: str) -> str:
    """The version of a package that may be missing, without loading it."""
    try:
        return version(package)
    except PackageNotFoundError:
        return _NO_VERSION


def _cpu_features() -> str:
    """The CPU's model and a digest of the kernel's list of its flags; without such a list the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    found = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = found.get("flags", found.get("Features", ""))
    digest = xxh3_64_hexdigest(" ".join(sorted(flags.split())).encode())
    return f"{found.get('model name', '?')} flags {digest}"
