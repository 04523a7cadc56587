"""Writes the answers of docs/rest.md anew, from a running controller: `python -m tests.docs.rest_page`."""

import re
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.docs.pages import DOCS, block, page
from tests.system.service import Service, serving

PAGE = "rest.md"
_MAX_CHARS = 220
_CONSOLE = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)


def console() -> str:
    """The page's commands and answers."""
    [found] = _CONSOLE.findall(page(PAGE))
    return str(found)


def commands() -> list[str]:
    """The commands that the page shows."""
    return [line.removeprefix("$ ") for line in console().splitlines() if line.startswith("$ ")]


def played(service: Service, folder: Path) -> str:
    """The commands with the answers of this controller."""
    (folder / "cell.yaml").write_text(block(PAGE, "# cell.yaml"))
    script = "\n".join(f"echo {_mark(n)}\n{line}\necho" for n, line in enumerate(commands()))
    output = subprocess.run(
        ["bash", "-c", script.replace("http://127.0.0.1:8770", service.url)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=100,
    ).stdout
    answers = re.split(r"^--- \d+ ---$\n", output, flags=re.MULTILINE)[1:]
    lines = (f"$ {line}\n{_cut(answer)}" for line, answer in zip(commands(), answers, strict=True))
    return "".join(lines)


def _mark(number: int) -> str:
    return f"--- {number} ---"


def _cut(answer: str) -> str:
    lines = [line if len(line) <= _MAX_CHARS else f"{line[:_MAX_CHARS]}..." for line in answer.splitlines() if line]
    return "".join(f"{line}\n" for line in lines)


def main() -> None:
    """Write the page."""
    with TemporaryDirectory() as data, serving(Path(data) / "runs") as service:
        answers = played(service, Path(data))
    (DOCS / PAGE).write_text(page(PAGE).replace(console(), answers), "utf-8")


if __name__ == "__main__":
    main()
