"""The documentation says what the code does: operations, commands, limits of form."""

import ast
import re
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).parents[1]


def services():
    from cumulet.app import SERVICES, load

    return [load(manifest.name) for manifest in SERVICES]


def page_of(service):
    page = ROOT / f"docs/services/{service.name}.md"
    assert page.exists(), f"{page} is missing"
    return page.read_text()


@pytest.mark.parametrize("service", services(), ids=lambda service: service.name)
def test_a_service_page_lists_exactly_the_operations_that_are_there(service):
    from cumulet.kernel.service import operations_of
    from cumulet.wire import Models

    names = Models().names(service.name)
    there = set(operations_of(service, names))
    text, _, absent = page_of(service).partition("## Not there")
    listed = {
        word for row in re.findall(r"^\|([^|]*)\|", text, re.M) for word in re.findall(r"[A-Za-z0-9]+", row)
    } & set(names.values())
    assert listed == there
    claimed_absent = {word for word in re.findall(r"[A-Za-z0-9]+", absent)} & set(names.values())
    assert not claimed_absent & there


def test_the_readme_is_short_and_names_every_command_and_service():
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) < 150
    from cumulet.cli.main import main

    for command in main.list_commands(click.Context(main)):
        assert re.search(rf"\b{command}\b", text), command
    for service in services():
        assert f"docs/services/{service.name}.md" in text, service.name


def test_every_option_of_up_and_deploy_is_in_the_readme():
    from cumulet.cli.main import main

    text = (ROOT / "README.md").read_text()
    context = click.Context(main)
    for name in ("up", "deploy"):
        for parameter in main.get_command(context, name).params:
            if isinstance(parameter, click.Option) and parameter.name not in {
                "data",
                "endpoint_url",
                "region",
                "verbose",
            }:
                assert parameter.opts[0] in text, parameter.opts[0]


def sources():
    return [path for path in (ROOT / "cumulet").rglob("*.py") if path.name != "api.py"]


def test_no_file_is_longer_than_600_lines():
    tests = [path for folder in ("tests", "patterns", "bench", "tools") for path in (ROOT / folder).rglob("*.py")]
    long = {str(path): count for path in [*sources(), *tests] if (count := len(path.read_text().splitlines())) > 600}
    assert not long


def test_every_module_says_what_it_is():
    assert not [str(path) for path in sources() if not ast.get_docstring(ast.parse(path.read_text()))]


def test_every_operation_has_a_docstring():
    bare = [
        f"{service.name}.{name}"
        for service in services()
        for name, function in service.functions()
        if not function.__doc__
    ]
    assert not bare
