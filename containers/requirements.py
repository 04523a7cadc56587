"""Prints the packages that the image `worker` or `controller` installs, one per line, as pyproject.toml names them."""

import sys
import tomllib
from pathlib import Path

CONTROLLER_EXTRAS = ("learn", "postgres", "serve")


def requirements(image: str) -> list[str]:
    """The packages of an image; pip adds their dependencies, in the versions of constraints.txt."""
    project = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))
    if image == "worker":
        return list(project["dependency-groups"]["worker"])
    extras = project["project"]["optional-dependencies"]
    return [
        *project["project"]["dependencies"],
        *(name for extra in CONTROLLER_EXTRAS for name in extras[extra]),
    ]


if __name__ == "__main__":
    print(*requirements(sys.argv[1]), sep="\n")
