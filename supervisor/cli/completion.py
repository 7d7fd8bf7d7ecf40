"""``jobvisor completion``."""

import click
from click.shell_completion import shell_complete

from supervisor.cli.commands import COMPLETE, program
from supervisor.cli.commands import command as jobvisor
from supervisor.cli.place import Place

_HELP = """Print the script by which bash, zsh or fish completes commands, options and the names of jobs.

\b
bash:  jobvisor completion bash > ~/.local/share/bash-completion/completions/jobvisor
zsh:   jobvisor completion zsh > ~/.zfunc/_jobvisor
       (with ~/.zfunc in $fpath, before compinit)
fish:  jobvisor completion fish > ~/.config/fish/completions/jobvisor.fish
"""


@jobvisor(name="completion", help=_HELP)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]), metavar="SHELL")
def command(place: Place, shell: str) -> int:  # noqa: ARG001  # as every command's
    """Print the script by which a shell completes."""
    return shell_complete(program, {}, "jobvisor", COMPLETE, f"{shell}_source")
