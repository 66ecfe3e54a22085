"""The `cumulet` command."""

import importlib
from typing import Any

import click

from cumulet import __version__

_COMMANDS = {  # name -> module that has it; imported when it is asked for, so that every command starts at once
    "up": "cumulet.cli.server",
    "down": "cumulet.cli.server",
    "status": "cumulet.cli.server",
    "reset": "cumulet.cli.server",
    "deploy": "cumulet.cli.deploy",
    "patterns": "cumulet.cli.patterns",
    "logs": "cumulet.cli.observe",
    "trace": "cumulet.cli.observe",
    "dlq": "cumulet.cli.dlq",
    "cost": "cumulet.cli.cost",
    "clock": "cumulet.cli.observe",
}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command: Any = getattr(importlib.import_module(_COMMANDS[cmd_name]), cmd_name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_Lazy)
@click.version_option(__version__, prog_name="cumulet")
def main() -> None:
    """A serverless cloud you run yourself: the AWS APIs on your machine, durable, fast, without Docker."""


if __name__ == "__main__":
    main(prog_name="cumulet")
