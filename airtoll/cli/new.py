"""`airtoll new`: a small package with a scheme or a world of one's own, which runs at once."""

import re
from enum import Enum
from importlib.resources import files
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from airtoll.cli.world_contents import default_world
from controller.config.catalogue import schemes, world_named, worlds
from controller.config.errors import ConfigError, invalid

app = typer.Typer()
new = typer.Typer(no_args_is_help=True, help="Begin a scheme or a world of your own, as a package.")
app.add_typer(new, name="new")

Folder = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Write the package here; default: a folder of its name.")
]


class Template(NamedTuple):
    """A kind of package. `sample`: the name of its module in airtoll.templates, which the new name replaces."""

    kind: str
    sample: str


_WORLD = Template("world", "my_world")


class SchemeTemplate(Enum):
    """`local`: nodes decide for themselves and exchange notes; `central`: they report, the trainer decides."""

    LOCAL = "local"
    CENTRAL = "central"


_SCHEMES = {
    SchemeTemplate.LOCAL: Template("scheme", "my_scheme"),
    SchemeTemplate.CENTRAL: Template("scheme", "my_central_scheme"),
}


@new.command()
def scheme(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name: my_scheme, or doe2027/my_scheme.")],
    world: Annotated[str, typer.Option(help="The world that it is for.")] = "d2d_underlay",
    template: Annotated[
        SchemeTemplate, typer.Option(help="Who decides: each node for itself, or the trainer for all.")
    ] = SchemeTemplate.LOCAL,
    out: Folder = None,
) -> None:
    """Begin a scheme: its card, its turns, the policy of a node, and a test.

    NAME is a module's name, after that of its paper if it has one; without one the scheme is called mine/NAME.
    """
    paper, _, module = name.rpartition("/")
    full = f"{paper or 'mine'}/{module}"
    _check_name(module)
    if not re.fullmatch(r"[a-z][a-z0-9_]*", paper or "mine"):
        raise ConfigError(invalid("NAME", name, "the part before / must be lower-case letters, digits and _"))
    if full in schemes():
        raise ConfigError(invalid("NAME", full, "there is such a scheme already; choose another name"))
    try:
        chosen = default_world(world_named(world))
    except ConfigError as error:
        fix = "a world of your own must be installed first: pip install --editable DIR, with the folder of its package"
        raise ConfigError(f"{error}; {fix}") from error
    replaced = {"d2d_underlay": world, '"observation"': f'"{next(iter(chosen.views))}"'}
    replaced |= {f"mine/{sample}": full for sample in ("my_scheme", "my_central_scheme")}
    _write(_SCHEMES[template], module, out or Path(module), replaced | {"my_scheme": module})
    _next_steps(out or Path(module), f"airtoll schemes {full}", module)


@new.command("world")
def new_world(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name, such as my_world.")], out: Folder = None
) -> None:
    """Begin a world: parameters, what a node measures, what an action does, a drawing, and a test."""
    _check_name(name)
    if name in worlds():
        raise ConfigError(invalid("NAME", name, "there is such a world already; choose another name"))
    _write(_WORLD, name, out or Path(name), {})
    _next_steps(out or Path(name), f"airtoll worlds {name}", name)


def _check_name(name: str) -> None:
    """ConfigError for what cannot be the name of a new package."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or iskeyword(name):
        raise ConfigError(invalid("NAME", name, "must be a Python name in lower case, such as my_scheme"))
    if find_spec(name) is not None:
        raise ConfigError(invalid("NAME", name, "a package of this name is installed; choose another name"))


def _write(template: Template, name: str, folder: Path, replaced: dict[str, str]) -> None:
    """Write the package. Its code is under src/, so that Python takes no folder of the package's name in the working
    directory for the package. ConfigError if there is something at its place already, or if it cannot be written."""
    if folder.exists():
        raise ConfigError(invalid("--out", str(folder), "exists already; choose another name, or --out DIR"))
    sample = template.sample
    contents = {
        "pyproject.toml": f"{template.kind}.toml",
        "README.md": f"{template.kind}.md",
        f"{name}.yaml": f"{template.kind}.yaml",
        f"src/{name}/{name}.py": f"{sample}.py",
        f"tests/test_{name}.py": f"test_{sample}.py",
    }
    camel = "".join(part.capitalize() for part in name.split("_"))
    words = {f"airtoll.templates.{sample}": f"{name}.{name}"} | replaced
    words |= {sample: name, "".join(part.capitalize() for part in sample.split("_")): camel}
    words |= {sample.replace("_", " ").capitalize(): name.replace("_", " ").capitalize()}
    try:
        for place, source in contents.items():
            text = files("airtoll.templates").joinpath(source).read_text("utf-8")
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).write_text(_rendered(text, words), "utf-8")
        (folder / "src" / name / "__init__.py").touch()
    except OSError as error:
        raise ConfigError(f"{folder}: {error.strerror}; choose another folder with --out DIR") from error


def _rendered(text: str, words: dict[str, str]) -> str:
    """The text with all words replaced in one pass, longer ones first."""
    pattern = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.sub(pattern, lambda found: words[found[0]], text)


def _next_steps(folder: Path, show: str, name: str) -> None:
    typer.echo(f"{folder}: written. Next:\n")
    for step in (
        f"cd {folder}",
        "pip install --editable .",
        show,
        f"airtoll run {name}.yaml",
        "python -m pytest",
    ):
        typer.echo(f"    {step}")
