"""The wall clock of a campaign's processes, which jumps on request: a small library in C that they preload."""

import shutil
import struct
import subprocess
from pathlib import Path


class JumpingClock:
    """`environment`: what makes a process and its children read this clock. Empty where there is no C compiler;
    `missing` is the reason."""

    def __init__(self, folder: Path) -> None:
        self._offset = folder / "clock"
        self.jump(0.0)
        library, compiler = folder / "clock.so", shutil.which("cc")
        self.missing = "" if compiler else "no C compiler (cc) for the library that shifts the wall clock"
        self.environment: dict[str, str] = {}
        if compiler:
            source = Path(__file__).with_name("clock.c")
            subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
            self.environment = {"LD_PRELOAD": str(library), "CAMPAIGN_CLOCK": str(self._offset)}

    def jump(self, seconds: float) -> None:
        """From now on the wall clock is so many seconds off."""
        with self._offset.open("r+b" if self._offset.exists() else "w+b") as file:  # in place: processes have it mapped
            file.write(struct.pack("=q", int(seconds * 1e9)))
