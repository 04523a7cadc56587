"""One thread for BLAS, OpenMP and MKL in every process. Import this before the first numpy import.

The last bits of a sum that is split over threads depend on their number; and every node is a process of its own.
"""

import os
import sys

_VARIABLES = (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)


def pin() -> None:
    """Set the environment for libraries not loaded yet, and limit those that are."""
    for variable in _VARIABLES:
        os.environ[variable] = "1"
    if "numpy" in sys.modules:
        from threadpoolctl import threadpool_limits

        threadpool_limits(limits=1)


def counts() -> dict[str, int]:
    """Threads per loaded numerical library, by its file's prefix; all must be 1."""
    from threadpoolctl import threadpool_info

    return {pool["prefix"]: pool["num_threads"] for pool in threadpool_info()}


def blas() -> dict[str, int]:
    """The same of BLAS alone, which numpy loads, so that the answer does not depend on what a process loads later."""
    from threadpoolctl import threadpool_info

    return {pool["prefix"]: pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def verify() -> None:
    """RuntimeError if any numerical library would use more than one thread."""
    if any(n != 1 for n in counts().values()):
        raise RuntimeError(f"numerical libraries use several threads: {counts()}; import airtoll before numpy")
