"""Lambda authorizers through boto3, real functions, documents and templates."""

import io
import json
import urllib.error
import urllib.request
import zipfile

import pytest
from botocore.exceptions import ClientError

AUTH_URI = (
    "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/"
    "arn:aws:lambda:us-east-1:000000000000:function:auth/invocations"
)
CODE = """
import json, os, boto3

def auth(event, context):
    users = boto3.client("dynamodb").get_item(TableName="users", Key={"id": {"S": event["authorizationToken"]}})
    effect = "Allow" if "Item" in users else "Deny"
    return {"principalId": "u", "policyDocument": {"Version": "2012-10-17", "Statement": [
        {"Action": "execute-api:Invoke", "Effect": effect, "Resource": "*"}]}, "context": {"seen": 1}}

def simple(event, context):
    return {"isAuthorized": event["headers"].get("authorization") == "secret", "context": {"who": "ann"}}

def echo(event, context):
    return {"statusCode": 200, "body": json.dumps(event["requestContext"]["authorizer"])}
"""


def fetch(url, headers=None):
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def function(aws, name):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("app.py", CODE)
    made = aws("lambda").create_function(FunctionName=name, Runtime="python3.12", Role="arn:aws:iam::000000000000:role/r",
                                         Handler=f"app.{name}", Code={"ZipFile": packed.getvalue()})  # fmt: skip
    return f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{made['FunctionArn']}/invocations"


def test_a_removed_user_is_refused_at_latest_after_the_ttl(aws, cloud, clock):
    """B3.4: the authorizer looks users up in a table; every operation on a REST API's authorizers."""
    aws("dynamodb").create_table(TableName="users", BillingMode="PAY_PER_REQUEST",
                                 KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
                                 AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}])  # fmt: skip
    aws("dynamodb").put_item(TableName="users", Item={"id": {"S": "ann"}})
    api = aws("apigateway")
    made = api.create_rest_api(name="a")
    one = made["id"]
    auth = api.create_authorizer(restApiId=one, name="x", type="TOKEN", authorizerUri=function(aws, "auth"),
                                 identitySource="method.request.header.Token")  # fmt: skip
    assert auth["authorizerResultTtlInSeconds"] == 300
    api.update_authorizer(restApiId=one, authorizerId=auth["id"],
                          patchOperations=[{"op": "replace", "path": "/authorizerResultTtlInSeconds", "value": "60"}])  # fmt: skip
    assert api.get_authorizer(restApiId=one, authorizerId=auth["id"])["authorizerResultTtlInSeconds"] == 60
    assert [item["id"] for item in api.get_authorizers(restApiId=one)["items"]] == [auth["id"]]
    where = {"restApiId": one, "resourceId": made["rootResourceId"], "httpMethod": "GET"}
    api.put_method(**where, authorizationType="CUSTOM", authorizerId=auth["id"])
    api.put_integration(**where, type="AWS_PROXY", integrationHttpMethod="POST", uri=function(aws, "echo"))
    api.create_deployment(restApiId=one, stageName="s")
    url = f"{cloud.endpoint}/_aws/execute-api/{one}/s/"
    assert fetch(url)[0] == 401
    assert fetch(url, {"Token": "bob"})[0] == 403
    status, body = fetch(url, {"Token": "ann"})
    assert (status, json.loads(body)) == (200, {"seen": "1", "principalId": "u"})
    aws("dynamodb").delete_item(TableName="users", Key={"id": {"S": "ann"}})
    assert fetch(url, {"Token": "ann"})[0] == 200
    clock.advance(60)
    assert fetch(url, {"Token": "ann"})[0] == 403
    api.flush_stage_authorizers_cache(restApiId=one, stageName="s")
    tried = api.test_invoke_authorizer(restApiId=one, authorizerId=auth["id"], headers={"Token": "bob"})
    assert (tried["clientStatus"], tried["principalId"]) == (0, "u") and json.loads(tried["policy"])["Statement"]
    assert api.test_invoke_authorizer(restApiId=one, authorizerId=auth["id"])["clientStatus"] == 401
    with pytest.raises(ClientError, match="is referenced in method: GET /"):
        api.delete_authorizer(restApiId=one, authorizerId=auth["id"])
    api.update_method(**where, patchOperations=[{"op": "replace", "path": "/authorizationType", "value": "NONE"},
                                                {"op": "remove", "path": "/authorizerId"}])  # fmt: skip
    api.delete_authorizer(restApiId=one, authorizerId=auth["id"])
    with pytest.raises(ClientError, match="Invalid Authorizer identifier specified"):
        api.get_authorizer(restApiId=one, authorizerId=auth["id"])


def test_every_operation_on_an_http_apis_authorizers(aws, cloud):
    api = aws("apigatewayv2")
    one = api.create_api(Name="a", ProtocolType="HTTP", Target=function(aws, "echo"))["ApiId"]
    auth = api.create_authorizer(ApiId=one, Name="x", AuthorizerType="REQUEST", AuthorizerUri=function(aws, "simple"),
                                 IdentitySource=["$request.header.authorization"], AuthorizerPayloadFormatVersion="2.0",
                                 EnableSimpleResponses=True)["AuthorizerId"]  # fmt: skip
    api.update_authorizer(ApiId=one, AuthorizerId=auth, Name="y", AuthorizerResultTtlInSeconds=60)
    assert api.get_authorizer(ApiId=one, AuthorizerId=auth)["Name"] == "y"
    assert [item["AuthorizerId"] for item in api.get_authorizers(ApiId=one)["Items"]] == [auth]
    [route] = api.get_routes(ApiId=one)["Items"]
    api.update_route(ApiId=one, RouteId=route["RouteId"], AuthorizationType="CUSTOM", AuthorizerId=auth)
    url = f"{cloud.endpoint}/_aws/execute-api/{one}/x"
    assert [fetch(url)[0], fetch(url, {"Authorization": "wrong"})[0]] == [401, 403]
    assert fetch(url, {"Authorization": "secret"}) == (200, b'{"lambda": {"who": "ann"}}')
    api.reset_authorizers_cache(ApiId=one, StageName="$default")
    with pytest.raises(api.exceptions.ConflictException):
        api.delete_authorizer(ApiId=one, AuthorizerId=auth)
    api.update_route(ApiId=one, RouteId=route["RouteId"], AuthorizationType="NONE")
    with pytest.raises(api.exceptions.ConflictException):
        api.delete_authorizer(ApiId=one, AuthorizerId=auth)
    api.delete_route(ApiId=one, RouteId=route["RouteId"])
    api.delete_authorizer(ApiId=one, AuthorizerId=auth)
    with pytest.raises(api.exceptions.NotFoundException):
        api.get_authorizer(ApiId=one, AuthorizerId=auth)


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "COGNITO_USER_POOLS"}, {"authorizerUri": "arn:aws:lambda:us-east-1:000000000000:function:f"},
        {"authorizerResultTtlInSeconds": 3601}, {"authorizerResultTtlInSeconds": -1}, {"identitySource": ""},
        {"identitySource": "method.request.querystring.a"}, {"identityValidationExpression": "("},
        {"type": "REQUEST", "identitySource": ""}, {"type": "REQUEST", "identityValidationExpression": "a"},
    ],
)  # fmt: skip
def test_a_rest_apis_authorizer_is_checked(aws, changes):
    api = aws("apigateway")
    request = {
        "name": "x",
        "type": "TOKEN",
        "authorizerUri": AUTH_URI,
        "identitySource": "method.request.header.A",
        **changes,
    }
    with pytest.raises(ClientError) as error:
        api.create_authorizer(restApiId=api.create_rest_api(name="a")["id"], **request)
    status = error.value.response["ResponseMetadata"]["HTTPStatusCode"]
    assert status == (501 if "COGNITO" in changes.get("type", "") else 400)


@pytest.mark.parametrize(
    "changes",
    [
        {"AuthorizerType": "JWT", "JwtConfiguration": {"Issuer": "https://i"}}, {"AuthorizerUri": "nothing"},
        {"AuthorizerPayloadFormatVersion": "3.0"}, {"AuthorizerResultTtlInSeconds": 3601},
        {"AuthorizerPayloadFormatVersion": "1.0", "EnableSimpleResponses": True}, {"IdentitySource": ["header.a"]},
        {"IdentitySource": [], "AuthorizerResultTtlInSeconds": 1},
    ],
)  # fmt: skip
def test_an_http_apis_authorizer_is_checked(aws, changes):
    api = aws("apigatewayv2")
    request = {"Name": "x", "AuthorizerType": "REQUEST", "AuthorizerUri": AUTH_URI, "AuthorizerPayloadFormatVersion": "2.0",
               "IdentitySource": ["$request.header.A"], **changes}  # fmt: skip
    with pytest.raises(ClientError) as error:
        api.create_authorizer(ApiId=api.create_api(Name="a", ProtocolType="HTTP")["ApiId"], **request)
    status = error.value.response["ResponseMetadata"]["HTTPStatusCode"]
    assert status == (501 if "JwtConfiguration" in changes else 400)


@pytest.mark.parametrize(("ttl_s", "fits"), [(3600, True), (3601, False)])
def test_a_documents_authorizer_is_checked(aws, ttl_s, fits):
    extension = {"type": "request", "authorizerUri": AUTH_URI, "authorizerPayloadFormatVersion": "2.0",
                 "authorizerResultTtlInSeconds": ttl_s, "identitySource": "$request.header.a, $request.querystring.b"}  # fmt: skip
    scheme = {"type": "apiKey", "name": "a", "in": "header", "x-amazon-apigateway-authorizer": extension}
    document = {"openapi": "3.0.1", "info": {"title": "t"}, "components": {"securitySchemes": {"mine": scheme}},
                "paths": {"/a": {"get": {"security": [{"mine": []}]}, "put": {"security": [{"mine": []}]}}}}  # fmt: skip
    api = aws("apigatewayv2")
    if not fits:
        with pytest.raises(api.exceptions.BadRequestException):
            api.import_api(Body=json.dumps(document))
        return
    one = api.import_api(Body=json.dumps(document))["ApiId"]
    [authorizer] = api.get_authorizers(ApiId=one)["Items"]
    assert authorizer["IdentitySource"] == ["$request.header.a", "$request.querystring.b"]
    kinds = {(route["AuthorizationType"], route["AuthorizerId"]) for route in api.get_routes(ApiId=one)["Items"]}
    assert kinds == {("CUSTOM", authorizer["AuthorizerId"])}


SAM = """
Transform: AWS::Serverless-2016-10-31
Globals:
  Function: {Runtime: python3.12, Handler: index.handler}
Resources:
  Rest:
    Type: AWS::Serverless::Api
    Properties:
      StageName: s
      Auth:
        DefaultAuthorizer: Mine
        Authorizers:
          Mine: {FunctionArn: !GetAtt Auth.Arn, Identity: {Header: Token, ReauthorizeEvery: 20}}
  Http:
    Type: AWS::Serverless::HttpApi
    Properties:
      Auth:
        DefaultAuthorizer: Ours
        Authorizers:
          Ours: {FunctionArn: !GetAtt Auth.Arn, AuthorizerPayloadFormatVersion: 2.0, EnableSimpleResponses: true,
                 Identity: {Headers: [Token], ReauthorizeEvery: 20}}
  Auth:
    Type: AWS::Serverless::Function
    Properties:
      Role: "arn:aws:iam::000000000000:role/r"
      InlineCode: |
        def handler(event, context):
            token = event.get("authorizationToken") or event["headers"].get("token")
            return {"isAuthorized": token == "yes", "principalId": "p", "policyDocument": {"Statement": [
                {"Action": "execute-api:Invoke", "Effect": "Allow" if token == "yes" else "Deny", "Resource": "*"}]}}
  F:
    Type: AWS::Serverless::Function
    Properties:
      Role: "arn:aws:iam::000000000000:role/r"
      InlineCode: |
        def handler(event, context):
            return {"statusCode": 200, "body": "in"}
      Events:
        A: {Type: Api, Properties: {Path: /x, Method: get, RestApiId: !Ref Rest}}
        O: {Type: Api, Properties: {Path: /open, Method: get, RestApiId: !Ref Rest, Auth: {Authorizer: NONE}}}
        H: {Type: HttpApi, Properties: {Path: /x, Method: get, ApiId: !Ref Http}}
  Plain:
    Type: AWS::ApiGateway::RestApi
    Properties: {Name: plain}
  PlainAuth:
    Type: AWS::ApiGateway::Authorizer
    Properties:
      RestApiId: !Ref Plain
      Name: x
      Type: REQUEST
      IdentitySource: method.request.header.Token
      AuthorizerResultTtlInSeconds: "30"
      AuthorizerUri: !Sub "arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${Auth.Arn}/invocations"
  PlainHttp:
    Type: AWS::ApiGatewayV2::Api
    Properties: {Name: plain, ProtocolType: HTTP}
  PlainHttpAuth:
    Type: AWS::ApiGatewayV2::Authorizer
    Properties:
      ApiId: !Ref PlainHttp
      Name: x
      AuthorizerType: REQUEST
      AuthorizerPayloadFormatVersion: 2.0
      IdentitySource: [$request.header.Token]
      AuthorizerUri: !Sub "arn:aws:apigateway:${AWS::Region}:lambda:path/2015-03-31/functions/${Auth.Arn}/invocations"
Outputs:
  Rest: {Value: !Ref Rest}
  Http: {Value: !Ref Http}
  Plain: {Value: !Ref Plain}
  PlainAuth: {Value: !GetAtt PlainAuth.AuthorizerId}
  PlainHttp: {Value: !Ref PlainHttp}
  PlainHttpAuth: {Value: !Ref PlainHttpAuth}
"""
CAN = {"Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]}


def test_what_sam_makes_of_auth_guards_and_plain_authorizers_deploy(aws, cloud):
    formation = aws("cloudformation")
    formation.create_stack(StackName="s", TemplateBody=SAM, **CAN)
    cloud.quiet()
    stack = formation.describe_stacks(StackName="s")["Stacks"][0]
    events = formation.describe_stack_events(StackName="s")["StackEvents"]
    assert stack["StackStatus"] == "CREATE_COMPLETE", [event.get("ResourceStatusReason") for event in events]
    out = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
    base = f"{cloud.endpoint}/_aws/execute-api"
    assert fetch(f"{base}/{out['Rest']}/s/open") == (200, b"in")
    for url in (f"{base}/{out['Rest']}/s/x", f"{base}/{out['Http']}/x"):
        assert [fetch(url)[0], fetch(url, {"Token": "no"})[0]] == [401, 403]
        assert fetch(url, {"Token": "yes"}) == (200, b"in")
    rest = aws("apigateway").get_authorizer(restApiId=out["Plain"], authorizerId=out["PlainAuth"])
    assert (rest["type"], rest["authorizerResultTtlInSeconds"]) == ("REQUEST", 30)
    http = aws("apigatewayv2").get_authorizer(ApiId=out["PlainHttp"], AuthorizerId=out["PlainHttpAuth"])
    assert http["AuthorizerPayloadFormatVersion"] == "2.0"
    changed = SAM.replace('AuthorizerResultTtlInSeconds: "30"', "AuthorizerResultTtlInSeconds: 40").replace(
        "IdentitySource: [$request.header.Token]", "IdentitySource: [$request.header.Other]"
    )
    formation.update_stack(StackName="s", TemplateBody=changed, **CAN)
    cloud.quiet()
    assert formation.describe_stacks(StackName="s")["Stacks"][0]["StackStatus"] == "UPDATE_COMPLETE"
    rest = aws("apigateway").get_authorizer(restApiId=out["Plain"], authorizerId=out["PlainAuth"])
    http = aws("apigatewayv2").get_authorizer(ApiId=out["PlainHttp"], AuthorizerId=out["PlainHttpAuth"])
    assert (rest["authorizerResultTtlInSeconds"], http["IdentitySource"]) == (40, ["$request.header.Other"])
    formation.delete_stack(StackName="s")
    cloud.quiet()
    assert aws("apigateway").get_rest_apis()["items"] == [] and aws("apigatewayv2").get_apis()["Items"] == []
