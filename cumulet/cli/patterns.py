"""The serverless microservice patterns: list, show, run with evidence, copy as a starting point."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click

from cumulet.cli.client import Client, endpoint_of


def folder() -> Path:
    """Where the patterns are: beside the package in a checkout, inside it in an installation."""
    for candidate in (Path(__file__).parents[2] / "patterns", Path(__file__).parents[1] / "patterns"):
        if candidate.is_dir():
            return candidate
    raise click.ClickException("The patterns are not installed here. Get them from a checkout of the repository.")


def find(name: str) -> Path:
    """A pattern's folder by number, name, or the whole folder name. Raises: ClickException."""
    found = [
        path
        for path in sorted(folder().glob("[0-9][0-9]-*"))
        if name == path.name or path.name.split("-", 1)[1] == name or path.name.split("-")[0] == name.zfill(2)
    ]
    if not found:
        known = ", ".join(path.name for path in sorted(folder().glob("[0-9][0-9]-*")))
        raise click.ClickException(f"No pattern {name!r}. There are: {known}")
    return found[0]


@click.group()
def patterns() -> None:
    """The serverless microservice patterns as deployable applications."""


@patterns.command("list")
def list_() -> None:
    """List the patterns."""
    for path in sorted(folder().glob("[0-9][0-9]-*")):
        title = (path / "README.md").read_text().splitlines()[0].lstrip("# ")
        click.echo(f"{path.name:<28} {title}")


@patterns.command()
@click.argument("name")
def show(name: str) -> None:
    """Print a pattern's page."""
    click.echo((find(name) / "README.md").read_text())


@patterns.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--data", help="Data directory of the server.")
@click.option("--endpoint-url", help="Server to deploy to, if not the one on the data directory.")
def run(names: tuple[str, ...], data: str | None, endpoint_url: str | None) -> None:
    """Deploy patterns to the running cloud and drive them, printing what happens."""
    paths = [find(name) for name in names]
    endpoint = endpoint_of(data, endpoint_url)
    Client(endpoint).get("/_cumulet/health")
    for path in paths:
        environment = {
            **os.environ,
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        done = subprocess.run([sys.executable, str(path / "drive.py"), endpoint], env=environment, check=False)
        if done.returncode != 0:
            raise click.ClickException(f"Pattern {path.name} failed; what it printed says where.")


@patterns.command()
@click.argument("name")
@click.argument("target", type=click.Path(path_type=Path))
def new(name: str, target: Path) -> None:
    """Copy a pattern's template and code into a new folder."""
    source = find(name)
    left_out = shutil.ignore_patterns("test_*.py", "drive.py", "__pycache__")
    try:
        if target.exists() and any(target.iterdir()):
            raise click.ClickException(f"{target} is not empty. Choose a new folder.")
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=left_out)
    except (OSError, shutil.Error) as error:
        why = getattr(error, "strerror", None) or error
        raise click.ClickException(f"Cannot copy to {target}: {why}. Choose a new folder.") from error
    click.echo(f"{target}: {', '.join(sorted(path.name for path in target.iterdir()))}")
    click.echo(f"Deploy it with: cumulet deploy {target / 'template.yaml'} --stack {target.name}")
