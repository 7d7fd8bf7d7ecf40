"""The commands as click sees them: one module each, imported when it is called."""

import importlib
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from supervisor import __version__
from supervisor.cli.jobnames import JobName
from supervisor.cli.output import hush
from supervisor.cli.place import Place

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS = {
    "call": "Ask a Worker, and print its answer.",
    "cast": "Tell a Worker something that wants no answer.",
    "check": "Validate the manifest and try every target.",
    "completion": "The script by which a shell completes this program's words.",
    "errors": "Failures, grouped by exception and place.",
    "exec": "Run a job once, in the foreground.",
    "forecast": "What the schedules will do, simulated.",
    "history": "Runs, newest first.",
    "import": "jobs.toml from a crontab, supervisord.conf, Procfile or systemd unit.",
    "init": "Write a commented jobs.toml and two example jobs.",
    "logs": "Output of jobs, merged in time order.",
    "next": "Coming due times of an expression, an interval or the manifest's jobs.",
    "pause": "No new scheduled runs.",
    "reload": "Apply the edited manifest.",
    "restart": "Stop, then start.",
    "resume": "Scheduled runs again.",
    "run": "Supervise the jobs in the foreground.",
    "scale": "Run so many instances of a job.",
    "schema": "The JSON schema of jobs.toml, for editors.",
    "show": "Everything about one job.",
    "shutdown": "End the supervisor and all jobs.",
    "signal": "Send a signal to a job's process.",
    "stack": "Stack of every Python thread of a job, without stopping it.",
    "start": "Start jobs, out of hold, give-up and back-off.",
    "state": "What a Worker says of its state.",
    "status": "Health of every job.",
    "stop": "Stop jobs and hold them until `start`.",
    "systemd": "The unit that has systemd run this manifest.",
    "trigger": "Run a scheduled job once, now.",
    "upgrade": "Become the version that is installed now; no job is interrupted.",
    "version": "Version of this program, and of the running supervisor.",
}

ELSEWHERE = {
    "cat": "show",
    "down": "shutdown",
    "fg": "logs",
    "kill": "signal",
    "lint": "check",
    "list": "status",
    "list-timers": "next",
    "list-units": "status",
    "log": "logs",
    "ls": "status",
    "pid": "status",
    "ps": "status",
    "reread": "reload --plan",
    "serve": "run",
    "tail": "logs",
    "top": "status --watch",
    "up": "run",
    "update": "reload",
    "validate": "check",
}
"""Commands that people know from supervisorctl, systemctl, foreman or compose, and what they are called here."""

Command = Callable[..., Any]
COMPLETE = "_JOBVISOR_COMPLETE"
"""The variable by which a shell's script asks for words; ``bash_complete`` is one of its values."""


class Commands(click.Group):
    """A group that imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's
        """Return the names, sorted."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return the command of a name, None where there is none."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"supervisor.cli.{cmd_name}").command
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem[str]]":
        """Return the commands that begin so, without importing them; and the options."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415  # only when TAB was pressed

        names = [name for name in COMMANDS if name.startswith(incomplete)]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*(CompletionItem(name, help=COMMANDS[name]) for name in names), *options]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command; an unknown one is answered with the nearest name."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches  # noqa: PLC0415  # only for this error

            near = ELSEWHERE.get(args[0]) or next(iter(get_close_matches(args[0], COMMANDS, n=1)), None)
            hint = f' Did you mean "{near}"?' if near else ""
            ctx.fail(f'No such command "{args[0]}".{hint}')
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


def _place_options(command: Command, *flags: str) -> Command:
    socket = click.option("--socket", type=click.Path(), metavar="PATH", help="The supervisor's control socket.")
    names = flags or ("-f", "--file")
    what = "The manifest; else the nearest jobs.toml."
    manifest = click.option(*names, "manifest", type=click.Path(), metavar="FILE", help=what)
    quiet = click.option("-q", "--quiet", is_flag=True, help="Print errors alone; the exit code says the rest.")
    return manifest(socket(quiet(command)))


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@_place_options
@click.version_option(
    __version__, "-V", "--version", message="jobvisor %(version)s", help="Print the version and exit."
)
@click.pass_context
def program(ctx: click.Context, manifest: str | None, socket: str | None, quiet: bool) -> None:
    """Supervise the background jobs of one application, each in a process of its own."""
    ctx.obj = Place(manifest, socket, quiet=quiet)


def command(*, manifest_flags: tuple[str, ...] = (), **settings: Any) -> Callable[[Command], click.Command]:
    """Return a decorator for a command: gives it the ``Place``, also where -f and --socket stand behind its name.

    A command whose own -f means something else names other ``manifest_flags``.
    """

    def decorate(function: Command) -> click.Command:
        @partial(_with_flags, manifest_flags)
        @click.pass_context
        def wrapped(ctx: click.Context, /, manifest: str | None, socket: str | None, quiet: bool, **params: Any) -> Any:
            outer: Place = ctx.obj
            place = Place(manifest or outer.named, socket or outer.socket, quiet=quiet or outer.quiet)
            if place.quiet and sys.stdout is not None:
                hush()
            return function(place, **params)

        wrapped.__doc__ = function.__doc__
        wrapped.__click_params__ = getattr(function, "__click_params__", []) + wrapped.__click_params__  # type: ignore[attr-defined]
        made: click.Command = click.command(**settings)(wrapped)
        for param in made.params:
            if isinstance(param, click.Argument) and param.name in {"name", "names"}:
                param.type = JobName()
        return made

    return decorate


def _with_flags(flags: tuple[str, ...], command: Command) -> Command:
    return _place_options(command, *flags)


as_json = click.option("--json", "as_json", is_flag=True, help="JSON on stdout.")


def run_with_click(arguments: list[str]) -> int:
    """Run a command line and return its exit code; errors that are not about its form are the caller's."""
    instruction = os.environ.get(COMPLETE)
    if instruction:
        from click.shell_completion import shell_complete  # noqa: PLC0415  # only when TAB was pressed

        return shell_complete(program, {}, "jobvisor", COMPLETE, instruction)
    try:
        with program.make_context("jobvisor", arguments) as ctx:
            result = program.invoke(ctx)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    return result if isinstance(result, int) else 0
