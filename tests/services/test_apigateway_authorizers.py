"""Lambda authorizers of REST and HTTP APIs: who is asked, what is kept, who gets through."""

import json

import pytest

from cumulet.aws.errors import GenericAwsError
from cumulet.aws.invokepolicy import decision
from tests.services.apigateway_cloud import URI, HttpCloud, RestCloud, headers_of, run

AUTH = "arn:aws:lambda:us-east-1:000000000000:function:auth"
AUTH_URI = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{AUTH}/invocations"


def policy(effect, *resources, **more):
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": list(resources)}
    return {"principalId": "ann", "policyDocument": {"Version": "2012-10-17", "Statement": [statement]}, **more}


def asked(cloud):
    return cloud.invoked.count(AUTH)


# REST APIs


async def guarded(cloud, paths=("/ok", "/no"), **settings):
    """A REST API whose methods ask an authorizer; its id."""
    api = await cloud.api("CreateRestApi", name="a")
    request = {"name": "auth", "type": "TOKEN", "authorizerUri": AUTH_URI,
               "identitySource": "method.request.header.Authorization", **settings}  # fmt: skip
    authorizer = await cloud.api("CreateAuthorizer", restApiId=api["id"], **request)
    for path in paths:
        parent = api["rootResourceId"]
        for part in path.split("/")[1:]:
            made = await cloud.api("CreateResource", restApiId=api["id"], parentId=parent, pathPart=part)
            parent = made["id"]
        where = {"restApiId": api["id"], "resourceId": parent, "httpMethod": "GET"}
        await cloud.api("PutMethod", **where, authorizationType="CUSTOM", authorizerId=authorizer["id"])
        await cloud.api("PutIntegration", **where, type="AWS_PROXY", integrationHttpMethod="POST", uri=URI)
    await cloud.api("CreateDeployment", restApiId=api["id"], stageName="s")
    return api["id"]


def token(value):
    return {"Authorization": value}


def test_a_token_authorizer_gets_the_token_and_its_context_goes_on():
    """B3.1: the right event, and what the authorizer says of the caller."""

    async def body(cloud):
        api = await guarded(cloud)
        cloud.answers["auth"] = policy(
            "Allow", "*", context={"plan": "gold", "n": 7, "on": True}, usageIdentifierKey="k1"
        )
        response = await cloud.get(api, "/s/ok", headers=token("allow me"))
        assert (response.status, response.body) == (200, b"hi")
        arn = f"arn:aws:execute-api:us-east-1:000000000000:{api}/s/GET/ok"
        assert cloud.events[0] == {"type": "TOKEN", "methodArn": arn, "authorizationToken": "allow me"}
        context = cloud.events[1]["requestContext"]
        assert context["authorizer"] == {"plan": "gold", "n": "7", "on": "true", "principalId": "ann"}
        assert context["identity"]["apiKey"] == "k1"

    run(RestCloud, body)


def test_without_a_token_or_with_a_bad_one_nobody_is_asked():
    """B3.2: 401 and the authorizer is not called."""

    async def body(cloud):
        api = await guarded(cloud, identityValidationExpression="Bearer [a-z]+")
        for headers in ({}, token(""), token("Bearer 1"), token("xBearer a"), token("Bearer a2")):
            response = await cloud.get(api, "/s/ok", headers=headers)
            assert (response.status, response.body) == (401, b'{"message":"Unauthorized"}')
            assert headers_of(response)["x-amzn-errortype"] == "UnauthorizedException"
        assert cloud.events == []

    run(RestCloud, body)


def test_a_policy_is_held_against_each_resource_and_an_explicit_deny_wins():
    """B3.2: Allow on /ok routes; the same policy on /no is a 403."""

    async def body(cloud):
        api = await guarded(cloud)
        cloud.answers["auth"] = policy("Allow", f"arn:aws:execute-api:us-east-1:000000000000:{api}/s/GET/ok")
        assert (await cloud.get(api, "/s/ok", headers=token("t"))).status == 200
        refused = await cloud.get(api, "/s/no", headers=token("t"))
        assert (refused.status, refused.body) == (403, b'{"message":"User is not authorized to access this resource"}')
        assert headers_of(refused)["x-amzn-errortype"] == "AccessDeniedException" and asked(cloud) == 1
        both = policy("Allow", "*")
        both["policyDocument"]["Statement"] += policy("Deny", "*/GET/no")["policyDocument"]["Statement"]
        cloud.answers["auth"] = both
        assert (await cloud.get(api, "/s/ok", headers=token("u"))).status == 200
        refused = await cloud.get(api, "/s/no", headers=token("u"))
        assert (
            json.loads(refused.body)["message"]
            == "User is not authorized to access this resource with an explicit deny"
        )

    run(RestCloud, body)


@pytest.mark.parametrize(("settings", "ttl_s"), [({}, 300), ({"authorizerResultTtlInSeconds": 3600}, 3600)])
def test_a_policy_is_kept_for_its_time_by_token(settings, ttl_s):
    """B3.3: one authorizer call within the TTL, a second after it."""

    async def body(cloud):
        api = await guarded(cloud, **settings)
        cloud.answers["auth"] = policy("Allow", "*")
        for _ in range(3):
            assert (await cloud.get(api, "/s/ok", headers=token("a"))).status == 200
        assert asked(cloud) == 1
        await cloud.get(api, "/s/ok", headers=token("b"))
        assert asked(cloud) == 2
        await cloud.advance(ttl_s - 1)
        await cloud.get(api, "/s/ok", headers=token("a"))
        assert asked(cloud) == 2
        cloud.answers["auth"] = policy("Deny", "*")
        await cloud.advance(1)
        assert (await cloud.get(api, "/s/ok", headers=token("a"))).status == 403
        assert asked(cloud) == 3
        await cloud.api("FlushStageAuthorizersCache", restApiId=api, stageName="s")
        await cloud.get(api, "/s/ok", headers=token("a"))
        assert asked(cloud) == 4

    run(RestCloud, body)


def test_a_ttl_of_zero_keeps_nothing():
    async def body(cloud):
        api = await guarded(cloud, authorizerResultTtlInSeconds=0)
        cloud.answers["auth"] = policy("Allow", "*")
        for _ in range(3):
            await cloud.get(api, "/s/ok", headers=token("a"))
        assert asked(cloud) == 3

    run(RestCloud, body)


def test_a_request_authorizer_gets_the_request_and_keeps_by_all_sources():
    async def body(cloud):
        sources = "method.request.header.Who, method.request.querystring.q,context.httpMethod"
        api = await guarded(cloud, ("/pets/{id}",), type="REQUEST", identitySource=sources)
        cloud.answers["auth"] = policy("Allow", "*")
        assert (await cloud.get(api, "/s/pets/1", headers={"Who": "x"})).status == 401
        assert (await cloud.get(api, "/s/pets/1", query="q=1", headers={"who": "x"})).status == 200
        event = cloud.events[0]
        assert (event["type"], event["resource"], event["pathParameters"]) == ("REQUEST", "/pets/{id}", {"id": "1"})
        assert event["methodArn"].endswith("/s/GET/pets/1") and event["queryStringParameters"] == {"q": "1"}
        assert event["headers"]["who"] == "x" and event["stageVariables"] == {} and "body" not in event
        await cloud.get(api, "/s/pets/2", query="q=1", headers={"who": "x"})
        assert asked(cloud) == 1
        await cloud.get(api, "/s/pets/1", query="q=2", headers={"who": "x"})
        assert asked(cloud) == 2

    run(RestCloud, body)


@pytest.mark.parametrize(
    "answer",
    [
        None, "yes", {}, {"principalId": "a"}, {"policyDocument": {"Statement": []}}, b"no json",
        {**policy("Allow", "*"), "context": {"list": [1]}}, {**policy("Allow", "*"), "context": {"map": {}}},
    ],
)  # fmt: skip
def test_what_is_no_answer_is_a_500_and_is_not_kept(answer):
    async def body(cloud):
        api = await guarded(cloud)
        cloud.answers["auth"] = answer
        response = await cloud.get(api, "/s/ok", headers=token("a"))
        assert (response.status, response.body) == (500, b'{"message":null}')
        assert headers_of(response)["x-amzn-errortype"] == "AuthorizerConfigurationException"
        cloud.answers["auth"] = policy("Allow", "*")
        assert (await cloud.get(api, "/s/ok", headers=token("a"))).status == 200

    run(RestCloud, body)


def test_a_function_that_fails_is_a_500_unless_it_says_unauthorized():
    async def body(cloud):
        api = await guarded(cloud)
        cloud.error = "Unhandled"
        for message, status in (("Unauthorized", 401), ("unauthorized", 500), ("boom", 500)):
            cloud.answers["auth"] = {"errorMessage": message}
            assert (await cloud.get(api, "/s/ok", headers=token("a"))).status == status
        cloud.refusal = GenericAwsError("ResourceNotFoundException", "gone", 404)
        assert (await cloud.get(api, "/s/ok", headers=token("a"))).status == 500

    run(RestCloud, body)


def test_templates_and_mappings_see_the_authorizers_context():
    async def body(cloud):
        api = await cloud.api("CreateRestApi", name="a")
        auth = await cloud.api("CreateAuthorizer", restApiId=api["id"], name="x", type="TOKEN", authorizerUri=AUTH_URI,
                               identitySource="method.request.header.T")  # fmt: skip
        where = {"restApiId": api["id"], "resourceId": api["rootResourceId"], "httpMethod": "GET"}
        await cloud.api("PutMethod", **where, authorizationType="CUSTOM", authorizerId=auth["id"])
        await cloud.api(
            "PutIntegration", **where, type="MOCK", requestTemplates={"application/json": '{"statusCode": 200}'}
        )
        await cloud.api(
            "PutMethodResponse", **where, statusCode="200", responseParameters={"method.response.header.who": False}
        )
        template = "$context.authorizer.principalId is $context.authorizer.plan"
        await cloud.api("PutIntegrationResponse", **where, statusCode="200", responseTemplates={"application/json": template},
                        responseParameters={"method.response.header.who": "context.authorizer.principalId"})  # fmt: skip
        await cloud.api("CreateDeployment", restApiId=api["id"], stageName="s")
        cloud.answers["auth"] = policy("Allow", "*", context={"plan": "gold"})
        response = await cloud.get(api["id"], "/s", headers={"t": "1"})
        assert (response.body, headers_of(response)["who"]) == (b"ann is gold", "ann")

    run(RestCloud, body)


@pytest.mark.parametrize(
    ("resource", "verdict"),
    [
        ("arn:aws:execute-api:*:*:a/s/GET/x/*", "Allow"),
        ("arn:aws:execute-api:*:*:a/s/*", "Allow"),
        ("arn:aws:execute-api:*:*:a/s/GET/x/?", "Allow"),
        ("arn:aws:execute-api:*:*:a/s/GET/x/??", ""),
        ("arn:aws:execute-api:*:*:a/t/*", ""),
        ("*.y", ""),
    ],
)
def test_wildcards_of_policies(resource, verdict):
    arn = "arn:aws:execute-api:us-east-1:000000000000:a/s/GET/x/y"
    assert decision(policy("Allow", resource)["policyDocument"], arn) == verdict


@pytest.mark.parametrize(
    ("statement", "verdict"),
    [
        ({"Effect": "Allow", "Action": "execute-api:*", "Resource": "*"}, "Allow"),
        ({"Effect": "Allow", "Action": ["EXECUTE-API:invoke"], "Resource": "*"}, "Allow"),
        ({"Effect": "Allow", "Action": "s3:*", "Resource": "*"}, ""),
        ({"Effect": "Allow", "NotAction": "s3:*", "NotResource": "other"}, "Allow"),
        ({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Bool": {}}}, ""),
        ({"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": {"Bool": {}}}, "Deny"),
    ],
)
def test_actions_of_policies(statement, verdict):
    assert decision({"Statement": statement}, "arn:x") == verdict


# HTTP APIs


async def routes(cloud, *keys, **settings):
    api = (await cloud.api("CreateApi", Name="a", ProtocolType="HTTP"))["ApiId"]
    request = {"Name": "auth", "AuthorizerType": "REQUEST", "AuthorizerUri": AUTH_URI, "AuthorizerPayloadFormatVersion": "2.0",
               "IdentitySource": ["$request.header.Authorization"], **settings}  # fmt: skip
    authorizer = (await cloud.api("CreateAuthorizer", ApiId=api, **request))["AuthorizerId"]
    version = settings.get("AuthorizerPayloadFormatVersion", "2.0")
    made = await cloud.api("CreateIntegration", ApiId=api, IntegrationType="AWS_PROXY", IntegrationUri=URI,
                           PayloadFormatVersion=version)  # fmt: skip
    for key in keys:
        await cloud.api("CreateRoute", ApiId=api, RouteKey=key, Target=f"integrations/{made['IntegrationId']}",
                        AuthorizationType="CUSTOM", AuthorizerId=authorizer)  # fmt: skip
    await cloud.api("CreateStage", ApiId=api, StageName="$default", AutoDeploy=True)
    return api


def test_a_simple_response_lets_in_and_keeps_out():
    async def body(cloud):
        api = await routes(cloud, "GET /x/{id}", EnableSimpleResponses=True)
        assert (await cloud.get(api, "/x/1")).status == 401 and cloud.events == []
        cloud.answers["auth"] = {"isAuthorized": True, "context": {"list": [1], "n": 7}}
        assert (await cloud.get(api, "/x/1", query="q=1", headers=token("t"))).status == 200
        event = cloud.events[0]
        assert event["routeArn"] == f"arn:aws:execute-api:us-east-1:000000000000:{api}/$default/GET/x/1"
        assert (event["version"], event["type"], event["identitySource"]) == ("2.0", "REQUEST", ["t"])
        assert event["pathParameters"] == {"id": "1"} and "body" not in event and "isBase64Encoded" not in event
        assert cloud.events[1]["requestContext"]["authorizer"] == {"lambda": {"list": [1], "n": 7}}
        cloud.answers["auth"] = {"isAuthorized": False}
        refused = await cloud.get(api, "/x/1", headers=token("t"))
        assert (refused.status, refused.body) == (403, b'{"message":"Forbidden"}')

    run(HttpCloud, body)


def test_http_apis_keep_answers_only_when_told_to():
    async def body(cloud):
        kept = await routes(cloud, "GET /a", "GET /b", AuthorizerResultTtlInSeconds=60)
        cloud.answers["auth"] = policy("Allow", "*/GET/a")
        assert [(await cloud.get(kept, path, headers=token("t"))).status for path in ("/a", "/b", "/a")] == [
            200,
            403,
            200,
        ]
        assert asked(cloud) == 1
        await cloud.advance(59)
        await cloud.get(kept, "/a", headers=token("t"))
        assert asked(cloud) == 1
        await cloud.api("ResetAuthorizersCache", ApiId=kept, StageName="$default")
        await cloud.get(kept, "/a", headers=token("t"))
        assert asked(cloud) == 2
        await cloud.advance(60)
        await cloud.get(kept, "/a", headers=token("t"))
        assert asked(cloud) == 3
        fresh = await routes(cloud, "GET /a")
        await cloud.get(fresh, "/a", headers=token("t"))
        await cloud.get(fresh, "/a", headers=token("t"))
        assert asked(cloud) == 5

    run(HttpCloud, body)


def test_the_route_may_be_part_of_what_answers_are_kept_by():
    async def body(cloud):
        sources = ["$request.header.Authorization", "$context.routeKey"]
        api = await routes(cloud, "GET /a", "GET /b", AuthorizerResultTtlInSeconds=60, IdentitySource=sources)
        cloud.answers["auth"] = policy("Allow", "*")
        for path in ("/a", "/b", "/a"):
            assert (await cloud.get(api, path, headers=token("t"))).status == 200
        assert asked(cloud) == 2

    run(HttpCloud, body)


def test_format_1_is_that_of_rest_apis():
    async def body(cloud):
        api = await routes(cloud, "GET /a", AuthorizerPayloadFormatVersion="1.0")
        cloud.answer = {"statusCode": 200}
        cloud.answers["auth"] = policy("Allow", "*", context={"plan": "gold"})
        assert (await cloud.get(api, "/a", headers=token("t"))).status == 200
        event = cloud.events[0]
        assert (event["type"], event["authorizationToken"], event["identitySource"]) == ("REQUEST", "t", "t")
        assert event["methodArn"].endswith("/$default/GET/a") and "multiValueHeaders" not in event
        assert cloud.events[1]["requestContext"]["authorizer"] == {"plan": "gold", "principalId": "ann"}

    run(HttpCloud, body)


@pytest.mark.parametrize("answer", [None, {"isAuthorized": "yes"}, policy("Allow", "*")])
def test_a_simple_answer_must_be_one(answer):
    async def body(cloud):
        api = await routes(cloud, "GET /a", EnableSimpleResponses=True)
        cloud.answers["auth"] = answer
        response = await cloud.get(api, "/a", headers=token("t"))
        assert (response.status, response.body) == (500, b'{"message":"Internal Server Error"}')

    run(HttpCloud, body)
