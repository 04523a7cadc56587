"""The distributions that an image has, one a line, as pyproject.toml names them: `worker`, or `controller`."""

import sys
import tomllib
from pathlib import Path

EXTRAS_OF_THE_CONTROLLER = ("learn", "postgres", "serve")


def requirements(image: str) -> list[str]:
    """Of the image `worker` or `controller`; pip adds what these need, in the versions of constraints.txt."""
    project = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))
    if image == "worker":
        return list(project["dependency-groups"]["worker"])
    extras = project["project"]["optional-dependencies"]
    return [
        *project["project"]["dependencies"],
        *(name for extra in EXTRAS_OF_THE_CONTROLLER for name in extras[extra]),
    ]


if __name__ == "__main__":
    print(*requirements(sys.argv[1]), sep="\n")
