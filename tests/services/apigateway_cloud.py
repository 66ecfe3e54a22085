"""A cloud without HTTP for API Gateway's tests, with functions that answer what the test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from cumulet.aws.errors import AwsError
from cumulet.aws.http import DoorRequest, HttpCall, HttpReply, HttpResponse
from cumulet.kernel.outcome import Effect, EffectFailed
from cumulet.kernel.service import Service
from cumulet.services.apigateway import SERVICE as REST
from cumulet.services.apigatewayv2 import SERVICE as HTTP
from cumulet.testing.inprocess import InProcess

ARN = "arn:aws:lambda:us-east-1:000000000000:function:hello"
URI = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{ARN}/invocations"


def headers_of(response: HttpResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers}


class ApiCloud(InProcess):
    """Both kinds of API, and a Lambda whose functions answer `answers[name]`, else `answer`, and remember what they got.

    takes_s     seconds of the clock that an invocation takes
    replies     what HTTP backends answer, in order: an HttpReply or an EffectFailed; `calls` is what they got
    """

    others: ClassVar[tuple[Service, ...]] = ()

    def __init__(self, folder: Path | None = None) -> None:
        self.answer: Any = {"statusCode": 200, "body": "hi"}
        self.answers: dict[str, Any] = {}
        self.error: str | None = None
        self.refusal: AwsError | None = None
        self.takes_s = 0.0
        self.events: list[Any] = []
        self.invoked: list[str] = []
        self.kinds: list[str] = []
        self.replies: list[HttpReply | EffectFailed] = []
        self.calls: list[HttpCall] = []
        fake = Service("lambda", internals={"Invoke": self._invoke})
        performers = {"invoke": self._perform, "http": self._http}
        super().__init__([REST, HTTP, fake, *self.others], performers=performers, folder=folder)

    def _invoke(self, ctx: Any, req: Any) -> Effect:
        if self.refusal is not None:
            raise self.refusal
        self.events.append(json.loads(req["Payload"]))
        self.invoked.append(req["FunctionName"])
        self.kinds.append(req["InvocationType"])
        return Effect("invoke", (req["FunctionName"].rpartition(":")[2],), self._settle)

    async def _perform(self, span: Any, name: str) -> bytes:
        self.clock.set(self.clock.now() + self.takes_s)
        answer = self.answers.get(name, self.answer)
        return answer if isinstance(answer, bytes) else json.dumps(answer).encode()

    def _settle(self, ctx: Any, outcome: Any) -> dict[str, Any]:
        assert not isinstance(outcome, EffectFailed)
        result = {"StatusCode": 200, "Payload": outcome}
        return {**result, "FunctionError": self.error} if self.error else result

    async def _http(self, span: Any, call: HttpCall) -> HttpReply:
        self.calls.append(call)
        reply = self.replies.pop(0)
        if isinstance(reply, EffectFailed):
            raise reply
        return reply

    async def get(
        self,
        api_id: str,
        rest: str,
        method: str = "GET",
        query: str = "",
        body: bytes = b"",
        headers: dict[str, str] | None = None,
    ) -> HttpResponse:
        sent = {"Host": "127.0.0.1:4566", **(headers or {})}
        return await self.door(
            "execute-api",
            DoorRequest(
                method=method,
                path=f"/_aws/execute-api/{api_id}{rest}",
                query=query,
                headers={name.lower(): value for name, value in sent.items()},
                raw_headers=list(sent.items()),
                body=body,
                target=api_id,
                rest=rest,
            ),
        )


class RestCloud(ApiCloud):
    async def api(self, operation: str, /, **request: Any) -> Any:
        return await self.call("apigateway", operation, request)

    async def deployed(
        self, *routes: tuple[str, str], stage: str = "prod", variables: dict[str, str] | None = None, **settings: Any
    ) -> str:
        """An API with Lambda proxy routes (method, path), on a stage."""
        api = await self.api("CreateRestApi", name="shop", **settings)
        ids = {"/": api["rootResourceId"]}
        for method, path in routes:
            at = ""
            for part in path.split("/")[1:] if path != "/" else []:
                parent, at = at or "/", f"{at}/{part}"
                if at not in ids:
                    made = await self.api("CreateResource", restApiId=api["id"], parentId=ids[parent], pathPart=part)
                    ids[at] = made["id"]
            where = {"restApiId": api["id"], "resourceId": ids[path], "httpMethod": method}
            await self.api("PutMethod", **where, authorizationType="NONE")
            await self.api("PutIntegration", **where, type="AWS_PROXY", integrationHttpMethod="POST", uri=URI)
        await self.api(
            "CreateDeployment", restApiId=api["id"], stageName=stage, **({"variables": variables} if variables else {})
        )
        return str(api["id"])


class HttpCloud(ApiCloud):
    def __init__(self, folder: Path | None = None) -> None:
        super().__init__(folder)
        self.answer = {"hello": "world"}

    async def api(self, operation: str, /, **request: Any) -> Any:
        return await self.call("apigatewayv2", operation, request)

    async def deployed(
        self,
        *keys: str,
        stage: str = "$default",
        version: str = "2.0",
        variables: dict[str, str] | None = None,
        uri: str = ARN,
        **settings: Any,
    ) -> str:
        """An API with routes to one function, on a stage that deploys automatically."""
        api = str((await self.api("CreateApi", Name="shop", ProtocolType="HTTP", **settings))["ApiId"])
        one = await self.api(
            "CreateIntegration",
            ApiId=api,
            IntegrationType="AWS_PROXY",
            IntegrationUri=uri,
            PayloadFormatVersion=version,
        )
        for key in keys:
            await self.api("CreateRoute", ApiId=api, RouteKey=key, Target=f"integrations/{one['IntegrationId']}")
        await self.api("CreateStage", ApiId=api, StageName=stage, AutoDeploy=True, StageVariables=variables or {})
        return api


Kind = TypeVar("Kind", bound=ApiCloud)


def run(kind: type[Kind], body: Callable[[Kind], Awaitable[None]]) -> None:
    """Run a test's body with a new cloud."""

    async def main() -> None:
        async with kind() as cloud:
            await body(cloud)

    asyncio.run(main())
