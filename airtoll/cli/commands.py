"""The root of the command line: which commands there are, and how errors become exit codes.

A command's module is imported when the command is called, because what commands need (pydantic, numpy, rich) takes
longer to import than `airtoll --help` may take.
"""

from errno import EPIPE
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

from airtoll.cli.exit_codes import FAILED, INTERRUPTED, USAGE


class CommandInfo(NamedTuple):
    """A command in the overview: the module of `airtoll.cli` whose `app` has it, and its first line of help."""

    panel: str
    module: str
    summary: str


_RUN, _READ, _CONTROLLER = "Run on this machine", "Read results", "Controller"
_WORKERS, _KEYS, _CATALOGUE = "Workers", "Keys", "Worlds, schemes, configurations"

COMMANDS = {
    "run": CommandInfo(_RUN, "runs", "Start a run and follow it until it ends."),
    "resume": CommandInfo(_RUN, "runs", "Continue a run from a checkpoint, or a controller's run after a pause."),
    "replay": CommandInfo(_RUN, "runs", "Repeat a run in one process and compare the traces."),
    "node": CommandInfo(_RUN, "runs", "Start a lost node again, so that it rejoins its run."),
    "study": CommandInfo(_RUN, "studies", "Run a grid of configurations and seeds; write tables and plots."),
    "show": CommandInfo(_READ, "controller_runs", "Show a run's state and results."),
    "toll": CommandInfo(_READ, "results", "Show the signalling overhead of a run."),
    "plot": CommandInfo(_READ, "results", "Draw a run's curves, map and toll."),
    "diff": CommandInfo(_READ, "results", "Compare two runs bit for bit."),
    "frames": CommandInfo(_READ, "results", "Show the recorded frames, decoded."),
    "serve": CommandInfo(_CONTROLLER, "service", "Start the controller."),
    "submit": CommandInfo(_CONTROLLER, "controller_runs", "Put a run into the controller's queue."),
    "list": CommandInfo(_CONTROLLER, "controller_runs", "List the controller's runs, newest first."),
    "watch": CommandInfo(_CONTROLLER, "controller_runs", "Follow a run until it ends."),
    "pause": CommandInfo(_CONTROLLER, "controller_runs", "Pause a run between two slots."),
    "stop": CommandInfo(_CONTROLLER, "controller_runs", "Stop a run after its current slot."),
    "compare": CommandInfo(_CONTROLLER, "controller_runs", "Show two runs side by side."),
    "nodes": CommandInfo(_CONTROLLER, "controller_runs", "List the nodes of runs and the workers of the pool."),
    "weights": CommandInfo(_CONTROLLER, "controller_runs", "Download a node's weights, or list the stored ones."),
    "put-weights": CommandInfo(_CONTROLLER, "controller_runs", "Upload weights for a node."),
    "agent": CommandInfo(_WORKERS, "service", "Start a worker of the pool that runs agents."),
    "channel": CommandInfo(_WORKERS, "service", "Start a worker of the pool that runs channel servers."),
    "keys": CommandInfo(_KEYS, "keys", "Manage the keys of encrypted, authenticated connections."),
    "init": CommandInfo(_CATALOGUE, "configurations", "Write a run's YAML file, every key with its meaning."),
    "schema": CommandInfo(_CATALOGUE, "configurations", "Print the JSON schema of a run's or a study's file."),
    "new": CommandInfo(_CATALOGUE, "new", "Begin a scheme or a world of your own, as a package."),
    "worlds": CommandInfo(
        _CATALOGUE, "catalogue", "List the worlds, or show one world's parameters, views, actions and reports."
    ),
    "schemes": CommandInfo(
        _CATALOGUE, "catalogue", "List the schemes, or show one scheme's card, turns and parameters."
    ),
}


def load(name: str) -> Any:
    """The command itself, a TyperCommand or TyperGroup; imports its module."""
    command = typer.main.get_group(import_module(f"airtoll.cli.{COMMANDS[name].module}").app).commands[name]
    # typer keeps the line breaks of all paragraphs but the first; they are those of the source, not of the terminal
    command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in (command.help or "").split("\n\n"))
    return command


class _Commands(TyperGroup):
    """Holds a placeholder for each command, and loads the command itself when it is called."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        for name, info in COMMANDS.items():
            self.add_command(TyperCommand(name, help=info.summary, rich_help_panel=info.panel))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args[0] in COMMANDS:
            self.add_command(load(args[0]))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            code = _exit_code(error)
            if code is None:
                raise
            typer.echo(str(error), err=True)
            raise typer.Exit(code) from error


def _exit_code(error: Exception) -> int | None:
    """The exit code for an error that the user can fix; None for any other."""
    from airtoll.cli.progress import OutputClosedError
    from airtoll.client import ControllerError
    from controller.config.errors import ConfigError
    from controller.run_folder.files import DamagedFileError
    from controller.run_folder.reader import NotARunError
    from protocol.transports.keys import KeysError

    match error:
        case ConfigError() | KeysError() | NotARunError():
            return USAGE
        case DamagedFileError() | OutputClosedError():
            return FAILED
        case OSError(errno=number) if number != EPIPE:  # a full disk, a folder that may not be written
            return FAILED
        case ControllerError():
            return USAGE if 400 <= error.status < 500 else FAILED
        case _:
            return None


def _print_version(requested: bool) -> None:
    if requested:
        from airtoll import __version__

        typer.echo(f"airtoll {__version__}")
        raise typer.Exit()


app = typer.Typer(cls=_Commands, no_args_is_help=True, add_completion=True, pretty_exceptions_enable=False)


@app.callback()
def airtoll(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Networked emulation of radio networks whose nodes learn, with every byte of signalling metered."""
