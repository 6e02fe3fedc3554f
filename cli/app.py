"""The command line's one wiring place: every command by name. Modules import heavy things only inside the command that needs them."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated

import typer

from hourmark import __version__
from hourmark.errors import PlatformError, SettingsError

from . import (
    acls,
    bench,
    dedup,
    demo,
    events,
    fsck,
    generate,
    lake,
    parked,
    raw,
    rejected,
    sealing,
    send,
    stack,
    status,
    storm,
    tail,
    trace,
)
from .failures import UNREACHABLE, WRONG_INPUT, exit_code, lines
from .workflow import commands as workflow

OURS = ("hourmark", "dedup", "streams", "receiver", "registry", "sinks", "local", "cli", "hourmark_client")
# The image of the containers carries no native stack, demo or benchmarks.
LEFT_OUT = (
    "install hourmark's extras `local` and `demo`. In containers `docker compose up`, `down` and `logs` do this, "
    "and `hourmark status` says how things are"
)

app = typer.Typer(
    name="hourmark",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich help costs 0.2 s of imports each time
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Events in; complete, duplicate-free, immutable hours out.",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"hourmark {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and end.")] = False,
) -> None:
    """Events in; complete, duplicate-free, immutable hours out."""


COMMANDS = (
    stack,
    status,
    demo,
    events,
    generate,
    workflow,
    send,
    tail,
    trace,
    parked,
    rejected,
    lake,
    sealing,
    fsck,
    dedup,
    raw,
    bench,
    storm,
    acls,
)
for module in COMMANDS:
    module.register(app)


def run() -> int:
    """Run the command named by the process's arguments; returns its exit code and has printed whatever went wrong."""
    try:
        _prepare_streams()
        try:
            app(prog_name="hourmark")
        finally:
            sys.stdout.flush()
    except SystemExit as exc:  # typer's own way to end, with the code of a usage error or of typer.Exit
        return exc.code if isinstance(exc.code, int) else 0 if exc.code is None else 1
    except (PlatformError, SettingsError) as exc:
        from .output import complain

        complain(lines(exc))
        return exit_code(exc)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has gone (`| head`): nothing to complain about
        _drop_output()
        return 0
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.partition(".")[0] in OURS:
            raise
        from .output import complain

        complain([("error", f"this command needs {exc.name}, which is not installed here"), ("to do", LEFT_OUT)])
        return WRONG_INPUT
    except OSError as exc:  # a full disk below our output, a file that went away: the system's words say it
        from .output import complain

        _drop_output()
        complain([("error", str(exc))])
        return UNREACHABLE
    return 0


def _prepare_streams() -> None:
    """Print whatever there is to print: characters that the terminal does not know are spelt out, closed streams take everything."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115  for as long as the process lives
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _drop_output() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
