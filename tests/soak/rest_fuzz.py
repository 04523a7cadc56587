"""Many generated requests to the REST interface: `python -m tests.soak.rest_fuzz [EXAMPLES]`.

First to each operation alone, then in sequences in which later requests use earlier answers. A server error, or an
answer that does not conform to the OpenAPI document, ends the program.
"""

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.system.fuzz import fuzz, fuzz_sequences
from tests.system.service import CELL, serving

_STEPS = 8


def main() -> None:
    """Send EXAMPLES requests to each operation, by default 300."""
    examples = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    with TemporaryDirectory() as data, serving(Path(data)) as service:
        run = service.client.wait(service.client.submit(CELL)["id"])
        began = time.monotonic()
        operations = fuzz(service, run["id"], examples=examples)
        print(f"{operations} operations, up to {examples} requests each: {time.monotonic() - began:.0f} s, no error")
        began = time.monotonic()
        fuzz_sequences(service, examples=examples // 3, steps=_STEPS)
        print(f"{examples // 3} sequences of up to {_STEPS} requests: {time.monotonic() - began:.0f} s, no error")


if __name__ == "__main__":
    main()
