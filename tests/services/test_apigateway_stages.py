"""Stage settings in a cloud without HTTP: logs, metrics, throttling."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cumulet.aws.errors import AwsError
from cumulet.services.apigateway.executionlogs import LINE_MAX_BYTES, cut, masked
from cumulet.services.logs import SERVICE as LOGS
from tests.services.apigateway_cloud import HttpCloud, RestCloud, run

ROLE = "arn:aws:iam::000000000000:role/logs"
GROUP = "arn:aws:logs:us-east-1:000000000000:log-group:access"


class Cloud(RestCloud):
    others = (LOGS,)

    async def patch(self, api: str, **values: str) -> Any:
        """UpdateStage with one patch for each value; `__` in a name stands for `/`, `any` for `*`."""
        patches = [{"op": "replace", "path": "/" + name, "value": value} for name, value in values.items()]
        return await self.api("UpdateStage", restApiId=api, stageName="prod", patchOperations=patches)

    async def with_role(self) -> None:
        patches = [{"op": "replace", "path": "/cloudwatchRoleArn", "value": ROLE}]
        await self.api("UpdateAccount", patchOperations=patches)

    async def lines(self, group: str) -> list[str]:
        try:
            found = await self.call("logs", "FilterLogEvents", {"logGroupName": group})
        except AwsError:
            return []
        return [event["message"] for event in found["events"]]


def test_logging_needs_the_accounts_role() -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.deployed(("GET", "/a"))
        message = "CloudWatch Logs role ARN must be set in account settings to enable logging"
        access = {"accessLogSettings/destinationArn": GROUP, "accessLogSettings/format": "$context.requestId"}
        for values in ({"*/*/logging/loglevel": "ERROR"}, access):
            with pytest.raises(AwsError, match=message):
                await cloud.patch(api, **values)
        await cloud.patch(api, **{"*/*/logging/loglevel": "OFF"})
        await cloud.with_role()
        for values in ({"*/*/logging/loglevel": "INFO"}, access):
            await cloud.patch(api, **values)

    run(Cloud, body)


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({"*/*/logging/loglevel": "DEBUG"}, 400),
        ({"*/*/logging/dataTrace": "perhaps"}, 400),
        ({"*/*/throttling/rateLimit": "fast"}, 400),
        ({"*/*/logging/nonsense": "x"}, 400),
        ({"*/*/caching/enabled": "true"}, 501),
        ({"*/*/caching/ttlInSeconds": "10"}, 501),
        ({"cacheClusterEnabled": "true"}, 501),
        ({"accessLogSettings/destinationArn": "arn:aws:sqs:us-east-1:000000000000:q"}, 400),
        ({"accessLogSettings/destinationArn": "arn:aws:firehose:us-east-1:0:deliverystream/amazon-apigateway-x"}, 501),
        ({"accessLogSettings/destinationArn": GROUP, "accessLogSettings/format": "$context.status"}, 400),
        ({"accessLogSettings/destinationArn": GROUP, "accessLogSettings/format": "$context.requestIdx"}, 400),
    ],
)
def test_settings_that_cannot_be_are_refused(values: dict[str, str], status: int) -> None:
    async def body(cloud: Cloud) -> None:
        await cloud.with_role()
        api = await cloud.deployed(("GET", "/a"))
        with pytest.raises(AwsError) as refused:
            await cloud.patch(api, **values)
        assert refused.value.http_status == status

    run(Cloud, body)


def test_an_access_log_has_a_line_for_every_request() -> None:
    async def body(cloud: Cloud) -> None:
        await cloud.with_role()
        api = await cloud.deployed(("GET", "/a/{id}"))
        form = ("$context.requestId $context.httpMethod $context.resourcePath $context.path $context.status "
                "$context.responseLength $context.integration.latency $context.integrationStatus "
                "$context.error.responseType $context.identity.sourceIp $context.nonsense")  # fmt: skip
        values = {"accessLogSettings/destinationArn": GROUP, "accessLogSettings/format": form}
        stage = await cloud.patch(api, **values)
        assert stage["accessLogSettings"] == {"destinationArn": GROUP, "format": form}
        cloud.takes_s = 0.25
        answer = await cloud.get(api, "/prod/a/7")
        await cloud.get(api, "/prod/none")
        one, other = await cloud.lines("access")
        request_id = dict(answer.headers)["x-amzn-RequestId"]
        assert one == f"{request_id} GET /a/{{id}} /prod/a/7 200 2 250 200 - 127.0.0.1 -"
        assert other.split(" ", 1)[1] == "GET - /prod/none 403 42 - - MISSING_AUTHENTICATION_TOKEN 127.0.0.1 -"
        removal = [{"op": "remove", "path": "/accessLogSettings"}]
        await cloud.api("UpdateStage", restApiId=api, stageName="prod", patchOperations=removal)
        await cloud.get(api, "/prod/a/7")
        assert len(await cloud.lines("access")) == 2

    run(Cloud, body)


def test_execution_logs_tell_what_happened_at_the_methods_level() -> None:
    async def body(cloud: Cloud) -> None:
        await cloud.with_role()
        api = await cloud.deployed(("GET", "/a"), ("GET", "/quiet"), ("POST", "/errors"))
        group = f"API-Gateway-Execution-Logs_{api}/prod"
        await cloud.patch(api, **{"*/*/logging/loglevel": "INFO", "~1quiet/GET/logging/loglevel": "OFF",
                                  "~1errors/POST/logging/loglevel": "ERROR"})  # fmt: skip
        cloud.takes_s = 0.125
        answer = await cloud.get(api, "/prod/a", headers={"Authorization": "Bearer 123456789"})
        lines = await cloud.lines(group)
        request_id = dict(answer.headers)["x-amzn-RequestId"]
        assert all(line.startswith(f"({request_id}) ") for line in lines)
        told = [line.partition(") ")[2] for line in lines]
        assert told[1:3] == [f"Starting execution for request: {request_id}", "HTTP Method: GET, Resource Path: /a"]
        assert told[4:] == ["Received response. Status: 200, Integration latency: 125 ms",
                            "Successfully completed execution", "Method completed with status: 200"]  # fmt: skip
        assert "123456" not in "".join(lines), "data is traced on demand only"
        await cloud.get(api, "/prod/quiet")
        await cloud.get(api, "/prod/errors", "POST")
        assert await cloud.lines(group) == lines
        cloud.error, cloud.answer = "Unhandled", {"errorMessage": "no"}
        await cloud.get(api, "/prod/errors", "POST")
        added = [line.partition(") ")[2] for line in (await cloud.lines(group))[len(lines) :]]
        assert added == ["Execution failed due to an internal error: Internal server error",
                         "Method completed with status: 502"]  # fmt: skip
        cloud.error, cloud.answer = None, {"statusCode": 200, "body": "hi"}
        await cloud.patch(api, **{"~1a/GET/logging/dataTrace": "true"})
        before = len(await cloud.lines(group))
        await cloud.get(api, "/prod/a", headers={"Authorization": "Bearer 123456789"})
        traced = "\n".join((await cloud.lines(group))[before:])
        assert "Authorization=**********456789" in traced and "Method response body after transformations: hi" in traced

    run(Cloud, body)


def test_lines_end_after_1024_bytes_and_secrets_show_six_letters() -> None:
    assert cut("ä" * 512) == "ä" * 512 and len(cut("ä" * 513).encode()) <= LINE_MAX_BYTES
    assert cut("x" * 1025).endswith("[TRUNCATED]")
    assert masked("abcdefghij") == "****efghij" and masked("abcdef") == "******"


def _drained(cloud: RestCloud) -> dict[tuple[str, frozenset[tuple[str, str]]], dict[float, int]]:
    points = cloud.pipeline.meter._drain(cloud.clock.now() + 120)
    return {
        (p["MetricName"], frozenset(p["Dimensions"])): p["Values"] for p in points if p["Namespace"] == "AWS/ApiGateway"
    }


def test_requests_are_metered_by_api_stage_and_on_demand_by_method() -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.deployed(("GET", "/a"), ("GET", "/b"))
        await cloud.patch(api, **{"~1a/GET/metrics/enabled": "true"})
        cloud.takes_s = 0.5
        for path in ("/prod/a", "/prod/b", "/prod/none"):
            await cloud.get(api, path)
        cloud.error = "Unhandled"
        await cloud.get(api, "/prod/a")
        found = _drained(cloud)
        by_api = frozenset({("ApiName", "shop")})
        by_stage = by_api | {("Stage", "prod")}
        by_method = by_stage | {("Method", "GET"), ("Resource", "/a")}
        for dimensions in (by_api, by_stage):
            assert found["Count", dimensions] == {1.0: 4}
            assert found["4XXError", dimensions] == {0.0: 3, 1.0: 1}
            assert found["5XXError", dimensions] == {0.0: 3, 1.0: 1}
            assert found["Latency", dimensions] == {500.0: 3, 0.0: 1}
            assert found["IntegrationLatency", dimensions] == {500.0: 3}
        assert found["Count", by_method] == {1.0: 2} and found["5XXError", by_method] == {0.0: 1, 1.0: 1}
        assert {dimensions for _, dimensions in found} == {by_api, by_stage, by_method}

    run(Cloud, body)


def test_requests_to_http_apis_are_metered_by_id() -> None:
    async def body(cloud: HttpCloud) -> None:
        api = await cloud.deployed("GET /a", "GET /b")
        settings = {"GET /a": {"DetailedMetricsEnabled": True}}
        await cloud.api("UpdateStage", ApiId=api, StageName="$default", RouteSettings=settings)
        for path in ("/a", "/b", "/none"):
            await cloud.get(api, path)
        found = _drained(cloud)  # type: ignore[arg-type]
        by_api = frozenset({("ApiId", api)})
        by_stage = by_api | {("Stage", "$default")}
        by_route = by_stage | {("Method", "GET"), ("Resource", "/a")}
        assert found["Count", by_api] == found["Count", by_stage] == {1.0: 3}
        assert found["4xx", by_api] == {0.0: 2, 1.0: 1} and found["Count", by_route] == {1.0: 1}
        assert {dimensions for _, dimensions in found} == {by_api, by_stage, by_route}

    run(HttpCloud, body)


def test_every_method_has_a_bucket_of_its_own_and_a_specific_setting_wins() -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.deployed(("GET", "/a"), ("POST", "/a"), ("GET", "/b"))
        stage = await cloud.patch(api, **{"*/*/throttling/rateLimit": "1", "*/*/throttling/burstLimit": "2",
                                          "~1b/GET/throttling/burstLimit": "3"})  # fmt: skip
        assert stage["methodSettings"]["*/*"]["throttlingRateLimit"] == 1.0
        assert stage["methodSettings"]["~1b/GET"]["throttlingRateLimit"] == 10000.0, "as a method setting shows it"
        for path, method, burst in (("/a", "GET", 2), ("/a", "POST", 2), ("/b", "GET", 3)):
            got = [(await cloud.get(api, f"/prod{path}", method)).status for _ in range(burst + 1)]
            assert got == [200] * burst + [429]
        refused = await cloud.get(api, "/prod/a")
        assert json.loads(refused.body) == {"message": "Too Many Requests"}  # type: ignore[arg-type]
        assert dict(refused.headers)["x-amzn-ErrorType"] == "TooManyRequestsException"
        await cloud.advance(1)
        assert [(await cloud.get(api, "/prod/a")).status for _ in range(2)] == [200, 429]

    run(Cloud, body)


def test_an_account_has_5000_requests_at_once_over_all_its_apis() -> None:
    async def body(cloud: Cloud) -> None:
        one, other = await cloud.deployed(("GET", "/a")), await cloud.deployed(("GET", "/a"))
        patches = [{"op": "replace", "path": "/*/*/throttling/burstLimit", "value": "100000"}]
        await cloud.api("UpdateStage", restApiId=one, stageName="prod", patchOperations=patches)
        buckets = cloud.pipeline.volatile.setdefault("apigateway.account", {})
        assert (await cloud.get(one, "/prod/a")).status == 200
        assert [value[0] for value in buckets.values()] == [4999.0]
        buckets["000000000000", "us-east-1"] = (1.0, cloud.clock.now())
        assert [(await cloud.get(api, "/prod/a")).status for api in (one, other)] == [200, 429]
        buckets["000000000000", "us-east-1"] = (0.0, cloud.clock.now() - 0.00015)
        assert [(await cloud.get(api, "/prod/a")).status for api in (other, one)] == [200, 429]

    run(Cloud, body)


def test_a_trial_shows_the_whole_execution_log() -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.deployed(("POST", "/a"))
        resources = await cloud.api("GetResources", restApiId=api)
        resource = next(one["id"] for one in resources["items"] if one["path"] == "/a")
        tried = await cloud.api("TestInvokeMethod", restApiId=api, resourceId=resource, httpMethod="POST", body="ping")
        log = tried["log"].splitlines()
        assert log[0].startswith("Execution log for request ")
        assert any(line.endswith(" : Method request body before transformations: ping") for line in log)
        assert log[-1].endswith(" : Method completed with status: 200")

    run(Cloud, body)
