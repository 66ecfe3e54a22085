"""What services say of IAM: their tables name operations that exist, and API Gateway's paths are those of its model."""

from __future__ import annotations

import re
from typing import Any

import botocore.session
import pytest

from cumulet.app import SERVICES, load
from cumulet.services.apigateway import authz as rest
from cumulet.services.apigatewayv2 import authz as http
from cumulet.wire import Models

_NAMES = [manifest.name for manifest in SERVICES]


@pytest.mark.parametrize("name", _NAMES)
def test_a_table_names_operations_of_its_service(name: str) -> None:
    service = load(name)
    if service.authz is None:
        pytest.skip("no table")
    known = {*Models().names(name).values(), *service.internals, *service.inspect}
    assert set(service.authz.needs) <= known


@pytest.mark.parametrize(("name", "module"), [("apigateway", rest), ("apigatewayv2", http)])
def test_api_gateways_actions_are_its_methods_and_paths(name: str, module: Any) -> None:
    model = botocore.session.get_session().get_service_model(name)
    service, names = load(name), Models().names(name)
    for snake, _ in service.functions():
        operation = model.operation_model(names[snake])
        uri = operation.http["requestUri"].partition("?")[0].removeprefix("/v2")
        members = {each.serialization.get("name", key): key for key, each in operation.input_shape.members.items()}
        request = {key: f"<{key}>" for key in members.values()}
        expected = re.sub(r"\{([^}]+)\}", lambda found: f"<{members[found[1]]}>", uri)  # noqa: B023
        assert module.LINES.line(names[snake], request) == f"{operation.http['method']} {expected}", names[snake]
