"""API keys and usage plans in a cloud without HTTP: who is let in, throttled, over the quota."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from cumulet.aws.errors import AwsError
from cumulet.aws.throttle import take
from cumulet.services.apigateway import keyring
from tests.services.apigateway_cloud import URI, RestCloud, run

VALUE = "k" * 20
DAY_S = 86_400


class Cloud(RestCloud):
    async def guarded(self, *paths: str, **settings: Any) -> str:
        """An API whose methods demand a key."""
        api = await self.deployed(*(("GET", path) for path in paths), **settings)
        for resource in (await self.api("GetResources", restApiId=api))["items"]:
            if resource["path"] in paths:
                where = {"restApiId": api, "resourceId": resource["id"], "httpMethod": "GET"}
                patches = [{"op": "replace", "path": "/apiKeyRequired", "value": "true"}]
                await self.api("UpdateMethod", **where, patchOperations=patches)
        await self.api("CreateDeployment", restApiId=api, stageName="prod")
        return api

    async def key(self, value: str = VALUE, **members: Any) -> str:
        return str((await self.api("CreateApiKey", name="k", value=value, enabled=True, **members))["id"])

    async def plan(self, *apis: str, key: str | None = None, **members: Any) -> str:
        stages = [{"apiId": api, "stage": "prod"} for api in apis]
        plan = str((await self.api("CreateUsagePlan", **{"name": "p", "apiStages": stages, **members}))["id"])
        if key is not None:
            await self.api("CreateUsagePlanKey", usagePlanId=plan, keyId=key, keyType="API_KEY")
        return plan

    async def status(self, api: str, path: str = "/prod/a", value: str = VALUE) -> int:
        return (await self.get(api, path, headers={"X-Api-Key": value})).status


def test_a_method_that_demands_a_key_is_open_to_keys_of_a_plan_for_its_stage() -> None:
    async def body(cloud: Cloud) -> None:
        api, other = await cloud.guarded("/a"), await cloud.guarded("/a")
        refused = await cloud.get(api, "/prod/a")
        assert (refused.status, json.loads(refused.body)) == (403, {"message": "Forbidden"})  # type: ignore[arg-type]
        assert dict(refused.headers)["x-amzn-ErrorType"] == "ForbiddenException"
        key = await cloud.key()
        assert await cloud.status(api) == 403, "a key without a plan"
        plan = await cloud.plan(api, key=key)
        assert await cloud.status(api) == 200
        assert cloud.events[0]["requestContext"]["identity"]["apiKey"] == VALUE
        assert cloud.events[0]["requestContext"]["identity"]["apiKeyId"] == key
        assert await cloud.status(other) == 403, "a plan for another stage"
        assert await cloud.status(api, value="x" * 20) == 403
        patches = [{"op": "replace", "path": "/enabled", "value": "false"}]
        await cloud.api("UpdateApiKey", apiKey=key, patchOperations=patches)
        assert await cloud.status(api) == 403, "disabled"
        patches = [{"op": "replace", "path": "/enabled", "value": "true"}]
        await cloud.api("UpdateApiKey", apiKey=key, patchOperations=patches)
        assert await cloud.status(api) == 200
        await cloud.api("DeleteUsagePlanKey", usagePlanId=plan, keyId=key)
        assert await cloud.status(api) == 403

    run(Cloud, body)


def test_a_key_may_come_from_the_authorizer() -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.guarded("/a", apiKeySource="AUTHORIZER")
        authorizer = await cloud.api("CreateAuthorizer", restApiId=api, name="x", type="TOKEN", authorizerUri=URI.replace("hello", "auth"),
                                     identitySource="method.request.header.Token")  # fmt: skip
        resource = next(one for one in (await cloud.api("GetResources", restApiId=api))["items"] if one["path"] == "/a")
        where = {"restApiId": api, "resourceId": resource["id"], "httpMethod": "GET"}
        patches = [{"op": "replace", "path": "/authorizationType", "value": "CUSTOM"},
                   {"op": "replace", "path": "/authorizerId", "value": authorizer["id"]}]  # fmt: skip
        await cloud.api("UpdateMethod", **where, patchOperations=patches)
        await cloud.api("CreateDeployment", restApiId=api, stageName="prod")
        await cloud.plan(api, key=await cloud.key())
        allow = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*"}
        answer = {"principalId": "u", "policyDocument": {"Statement": [allow]}}
        cloud.answers["auth"] = {**answer, "usageIdentifierKey": VALUE}
        assert (await cloud.get(api, "/prod/a", headers={"Token": "1"})).status == 200
        cloud.answers["auth"] = answer
        assert (await cloud.get(api, "/prod/a", headers={"Token": "2", "X-Api-Key": VALUE})).status == 403

    run(Cloud, body)


def test_a_plan_throttles_each_key_and_a_method_on_its_own() -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.guarded("/a", "/b")
        stage = {"apiId": api, "stage": "prod", "throttle": {"/b/GET": {"rateLimit": 1.0, "burstLimit": 1}}}
        plan = await cloud.plan(key=await cloud.key(), apiStages=[stage], throttle={"rateLimit": 1.0, "burstLimit": 2})
        await cloud.api("CreateUsagePlanKey", usagePlanId=plan, keyId=await cloud.key("o" * 20), keyType="API_KEY")
        assert [await cloud.status(api) for _ in range(3)] == [200, 200, 429]
        assert [await cloud.status(api, value="o" * 20) for _ in range(3)] == [200, 200, 429]
        assert [await cloud.status(api, "/prod/b") for _ in range(2)] == [200, 429]
        await cloud.advance(1)
        assert [await cloud.status(api) for _ in range(2)] == [200, 429]

    run(Cloud, body)


@pytest.mark.parametrize(("period", "days"), [("DAY", 1), ("WEEK", 5), ("MONTH", 17)])
def test_a_quota_ends_and_begins_again_with_its_period(period: str, days: int) -> None:
    """The clock starts on Tuesday, 14 November 2023, 22:13:20 UTC."""

    async def body(cloud: Cloud) -> None:
        api = await cloud.guarded("/a")
        key = await cloud.key()
        await cloud.plan(api, key=key, quota={"limit": 4, "offset": 1, "period": period})
        assert [await cloud.status(api) for _ in range(4)] == [200, 200, 200, 429], "the first period is shorter"
        refused = await cloud.get(api, "/prod/a", headers={"X-Api-Key": VALUE})
        assert json.loads(refused.body) == {"message": "Limit Exceeded"}  # type: ignore[arg-type]
        assert dict(refused.headers)["x-amzn-ErrorType"] == "LimitExceededException"
        till_end = days * DAY_S - cloud.clock.now() % DAY_S
        await cloud.advance(till_end - 1)
        assert await cloud.status(api) == 429
        await cloud.advance(1)
        assert [await cloud.status(api) for _ in range(5)] == [200, 200, 200, 200, 429]

    run(Cloud, body)


def test_usage_is_told_by_day_and_can_be_changed() -> None:
    async def body(cloud: Cloud) -> None:
        api = await cloud.guarded("/a")
        key = await cloud.key()
        plan = await cloud.plan(api, key=key, quota={"limit": 5, "period": "WEEK"})
        for _ in range(2):
            assert await cloud.status(api) == 200
        await cloud.advance(2 * DAY_S)
        assert await cloud.status(api) == 200
        dates = {"startDate": "2023-11-13", "endDate": "2023-11-16"}
        usage = await cloud.api("GetUsage", usagePlanId=plan, **dates)
        assert usage == {"usagePlanId": plan, **dates, "items": {key: [[0, 5], [2, 3], [0, 3], [1, 2]]}}
        patches = [{"op": "replace", "path": "/remaining", "value": "1"}]
        changed = await cloud.api("UpdateUsage", usagePlanId=plan, keyId=key, patchOperations=patches)
        assert changed["items"] == {key: [[1, 1]]}
        assert [await cloud.status(api) for _ in range(2)] == [200, 429]
        for start, end in (("2023-11-16", "2023-11-15"), ("2023-01-01", "2023-04-01"), ("x", "2023-11-15")):
            with pytest.raises(AwsError):
                await cloud.api("GetUsage", usagePlanId=plan, startDate=start, endDate=end)
        assert await cloud.api("GetUsage", usagePlanId=plan, startDate="2023-01-01", endDate="2023-03-31")

    run(Cloud, body)


@pytest.mark.parametrize(
    ("operation", "request_", "code"),
    [
        ("CreateApiKey", {"value": "k" * 19}, "BadRequestException"),
        ("CreateApiKey", {"value": "k" * 129}, "BadRequestException"),
        ("CreateApiKey", {"value": VALUE}, "ConflictException"),
        ("CreateApiKey", {"stageKeys": [{"restApiId": "x", "stageName": "y"}]}, "NotFoundException"),
        ("GetApiKey", {"apiKey": "none"}, "NotFoundException"),
        ("CreateUsagePlan", {"name": "x", "apiStages": [{"apiId": "no", "stage": "s"}]}, "NotFoundException"),
        ("CreateUsagePlan", {"name": "x", "quota": {"limit": 1, "period": "YEAR"}}, "BadRequestException"),
        ("CreateUsagePlan", {"name": "x", "quota": {"limit": 0, "period": "DAY"}}, "BadRequestException"),
        ("CreateUsagePlanKey", {"keyType": "OTHER"}, "BadRequestException"),
        ("CreateUsagePlanKey", {"keyType": "API_KEY"}, "ConflictException"),
        ("DeleteUsagePlan", {}, "BadRequestException"),
        ("UpdateUsage", {}, "BadRequestException"),
        ("UpdateUsagePlan", {"patchOperations": [{"op": "add", "path": "/apiStages", "value": "a:b"}]}, "NotFoundException"),
    ],
)  # fmt: skip
def test_bad_requests_are_refused(operation: str, request_: dict[str, Any], code: str) -> None:
    async def body(cloud: Cloud) -> None:
        key = await cloud.key()
        plan = await cloud.plan(await cloud.guarded("/a"), key=key)
        given: dict[str, Any] = {} if "ApiKey" in operation or operation == "CreateUsagePlan" else {"usagePlanId": plan}
        if operation in ("CreateUsagePlanKey", "UpdateUsage"):
            given["keyId"] = key
        with pytest.raises(AwsError) as refused:
            await cloud.api(operation, **{**given, **request_})
        assert refused.value.wire_code == code

    run(Cloud, body)


def test_a_key_has_one_plan_for_a_stage_and_ten_plans_at_most() -> None:
    async def body(cloud: Cloud) -> None:
        apis = [await cloud.guarded("/a") for _ in range(2)]
        key = await cloud.key()
        await cloud.plan(apis[0], key=key)
        with pytest.raises(AwsError, match="already"):
            await cloud.plan(apis[0], key=key)
        free = await cloud.plan(key=key)
        with pytest.raises(AwsError, match="already"):
            patches = [{"op": "add", "path": "/apiStages", "value": f"{apis[0]}:prod"}]
            await cloud.api("UpdateUsagePlan", usagePlanId=free, patchOperations=patches)
        for _ in range(8):
            await cloud.plan(key=key)
        with pytest.raises(AwsError, match="at most 10"):
            await cloud.plan(key=key)

    run(Cloud, body)


def test_an_account_has_300_plans_and_10000_keys() -> None:
    async def body(cloud: Cloud) -> None:
        for _ in range(keyring.PLANS_MAX):
            await cloud.plan()
        with pytest.raises(AwsError, match="at most 300"):
            await cloud.plan()
        rows = "\n".join(f"n{number},{number:020d}" for number in range(keyring.KEYS_MAX))
        made = await cloud.api("ImportApiKeys", body=f"name,key\n{rows}".encode(), format="csv")
        assert len(made["ids"]) == 10_000 and not made["warnings"]
        with pytest.raises(AwsError, match="at most 10000"):
            await cloud.key()

    run(Cloud, body)


class Quotas(RuleBasedStateMachine):
    """Two keys in a plan with a daily quota of 3, against a count by key and day; the steps are run together, in `teardown`."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[tuple[str, int]] = []

    @rule(key=st.integers(0, 1))
    def request(self, key: int) -> None:
        self.steps.append(("request", key))

    @rule(hours=st.sampled_from((1, 12, 24)))
    def advance(self, hours: int) -> None:
        self.steps.append(("advance", hours))

    def teardown(self) -> None:
        async def body(cloud: Cloud) -> None:
            api = await cloud.guarded("/a")
            plan = await cloud.plan(api, quota={"limit": 3, "period": "DAY"})
            for number in range(2):
                key = await cloud.key(str(number) * 20)
                await cloud.api("CreateUsagePlanKey", usagePlanId=plan, keyId=key, keyType="API_KEY")
            used: dict[tuple[int, int], int] = {}
            for step, value in self.steps:
                if step == "advance":
                    await cloud.advance(value * 3600)
                    continue
                counted = (value, int(cloud.clock.now() // DAY_S))
                expected = 200 if used.get(counted, 0) < 3 else 429
                assert await cloud.status(api, value=str(value) * 20) == expected
                used[counted] = used.get(counted, 0) + (expected == 200)

        run(Cloud, body)


def test_quotas_hold_whatever_comes() -> None:
    run_state_machine_as_test(Quotas, settings=settings(max_examples=25, stateful_step_count=20, deadline=None))


def test_a_bucket_is_not_emptied_by_a_clock_that_goes_back() -> None:
    """From virtual time, which may be days ahead, to real time."""
    buckets: dict[tuple[str, ...], tuple[float, float]] = {}
    taken = [take(buckets, ("a",), 1.0, 2, at) for at in (1e9, 5.0, 5.0, 6.0, 6.0)]
    assert taken == [True, True, False, True, False]
