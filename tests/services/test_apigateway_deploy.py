"""REST and HTTP APIs from CloudFormation and SAM templates."""

from __future__ import annotations

import json
from typing import Any

from tests.services.apigateway_http import fetch, function

SAM = """
Transform: AWS::Serverless-2016-10-31
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      Handler: index.handler
      Runtime: python3.12
      Role: arn:aws:iam::000000000000:role/r
      InlineCode: |
        import json
        def handler(event, context):
            return {"statusCode": 200, "body": json.dumps({"k": event.get("routeKey") or event["resource"]})}
      Events:
        A: {Type: Api, Properties: {Path: "/x/{id}", Method: get}}
        P: {Type: Api, Properties: {Path: "/p/{proxy+}", Method: any, RestApiId: !Ref Rest}}
        H: {Type: HttpApi, Properties: {Path: "/x/{id}", Method: get}}
        E: {Type: HttpApi, Properties: {Path: /y, Method: post, ApiId: !Ref Http}}
  Rest:
    Type: AWS::Serverless::Api
    Properties: {StageName: dev, Cors: "'*'", TracingEnabled: true, Variables: {A: b}, EndpointConfiguration: REGIONAL}
  Http:
    Type: AWS::Serverless::HttpApi
    Properties: {CorsConfiguration: {AllowOrigins: ["*"]}, StageName: dev, Tags: {a: b}, StageVariables: {x: y}}
Outputs:
  Own: {Value: !Ref ServerlessRestApi}
  Rest: {Value: !Ref Rest}
  OwnHttp: {Value: !Ref ServerlessHttpApi}
  Http: {Value: !Ref Http}
  Url: {Value: !GetAtt Http.ApiEndpoint}
"""


def test_what_sam_makes_of_api_events_deploys_serves_and_goes(aws: Any, cloud: Any) -> None:
    formation = aws("cloudformation")
    formation.create_stack(StackName="s", TemplateBody=SAM, Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"])
    cloud.quiet()
    stack = formation.describe_stacks(StackName="s")["Stacks"][0]
    events = formation.describe_stack_events(StackName="s")["StackEvents"]
    assert stack["StackStatus"] == "CREATE_COMPLETE", [event.get("ResourceStatusReason") for event in events]
    out = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
    base = f"{cloud.endpoint}/_aws/execute-api"
    assert json.loads(fetch(f"{base}/{out['Own']}/Prod/x/1")[2]) == {"k": "/x/{id}"}
    assert json.loads(fetch(f"{base}/{out['Rest']}/dev/p/1/2", "PUT", b"")[2]) == {"k": "/p/{proxy+}"}
    status, headers, _ = fetch(f"{base}/{out['Rest']}/dev/p/1", "OPTIONS")
    assert (status, headers["access-control-allow-origin"]) == (200, "*")
    assert json.loads(fetch(f"{base}/{out['OwnHttp']}/x/1")[2]) == {"k": "GET /x/{id}"}
    assert json.loads(fetch(f"{base}/{out['Http']}/dev/y", "POST", b"")[2]) == {"k": "POST /y"}
    assert out["Url"] == f"https://{out['Http']}.execute-api.us-east-1.amazonaws.com"
    formation.update_stack(
        StackName="s",
        TemplateBody=SAM.replace("/x/{id}", "/z/{id}"),
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    cloud.quiet()
    assert formation.describe_stacks(StackName="s")["Stacks"][0]["StackStatus"] == "UPDATE_COMPLETE"
    assert json.loads(fetch(f"{base}/{out['Own']}/Prod/z/1")[2]) == {"k": "/z/{id}"}
    assert fetch(f"{base}/{out['OwnHttp']}/x/1")[0] == 404
    formation.delete_stack(StackName="s")
    cloud.quiet()
    assert aws("apigateway").get_rest_apis()["items"] == [] and aws("apigatewayv2").get_apis()["Items"] == []


PLAIN = """
Resources:
  Api:
    Type: AWS::ApiGateway::RestApi
    Properties: {Name: plain, EndpointConfiguration: {Types: [REGIONAL]}, Tags: [{Key: a, Value: b}]}
  Pets:
    Type: AWS::ApiGateway::Resource
    Properties: {RestApiId: !Ref Api, ParentId: !GetAtt Api.RootResourceId, PathPart: pets}
  Validator:
    Type: AWS::ApiGateway::RequestValidator
    Properties: {RestApiId: !Ref Api, ValidateRequestBody: "true"}
  Pet:
    Type: AWS::ApiGateway::Model
    Properties: {RestApiId: !Ref Api, ContentType: application/json, Schema: {type: object, required: [name]}}
  Get:
    Type: AWS::ApiGateway::Method
    Properties:
      RestApiId: !Ref Api
      ResourceId: !Ref Pets
      HttpMethod: POST
      AuthorizationType: NONE
      RequestValidatorId: !Ref Validator
      RequestModels: {application/json: !Ref Pet}
      MethodResponses: [{StatusCode: 200, ResponseParameters: {method.response.header.X-A: "true"}}]
      Integration:
        Type: MOCK
        TimeoutInMillis: "1000"
        RequestTemplates: {application/json: '{"statusCode": 200}'}
        IntegrationResponses:
          - {StatusCode: 200, ResponseTemplates: {application/json: "FIRST"}, ResponseParameters: {method.response.header.X-A: "'1'"}}
  Gone:
    Type: AWS::ApiGateway::GatewayResponse
    Properties: {RestApiId: !Ref Api, ResponseType: MISSING_AUTHENTICATION_TOKEN, StatusCode: "404"}
  Deployed:
    Type: AWS::ApiGateway::Deployment
    DependsOn: [Get, Gone]
    Properties: {RestApiId: !Ref Api}
  Stage:
    Type: AWS::ApiGateway::Stage
    Properties:
      RestApiId: !Ref Api
      DeploymentId: !Ref Deployed
      StageName: dev
      Variables: {n: 1}
      MethodSettings: [{ResourcePath: "/*", HttpMethod: "*", ThrottlingRateLimit: 100, ThrottlingBurstLimit: 50}]
  Account:
    Type: AWS::ApiGateway::Account
    Properties: {CloudWatchRoleArn: "arn:aws:iam::000000000000:role/logs"}
  Http:
    Type: AWS::ApiGatewayV2::Api
    Properties: {Name: http, ProtocolType: HTTP, CorsConfiguration: {AllowOrigins: ["*"], MaxAge: "5"}, Tags: {c: d}}
  Integration:
    Type: AWS::ApiGatewayV2::Integration
    Properties: {ApiId: !Ref Http, IntegrationType: AWS_PROXY, IntegrationUri: FUNCTION, PayloadFormatVersion: 2.0, TimeoutInMillis: 29500}
  Route:
    Type: AWS::ApiGatewayV2::Route
    Properties: {ApiId: !Ref Http, RouteKey: GET /pets, Target: !Sub "integrations/${Integration}"}
  HttpDeployed:
    Type: AWS::ApiGatewayV2::Deployment
    DependsOn: Route
    Properties: {ApiId: !Ref Http}
  HttpStage:
    Type: AWS::ApiGatewayV2::Stage
    Properties: {ApiId: !Ref Http, StageName: dev, DeploymentId: !Ref HttpDeployed, StageVariables: {x: 1}}
Outputs:
  Api: {Value: !Ref Api}
  Http: {Value: !Ref Http}
  Stage: {Value: !Ref HttpStage}
"""


def test_plain_templates_deploy_change_and_go(aws: Any, cloud: Any) -> None:
    template = PLAIN.replace("FUNCTION", function(aws, "f"))
    formation = aws("cloudformation")
    formation.create_stack(StackName="p", TemplateBody=template)
    cloud.quiet()
    stack = formation.describe_stacks(StackName="p")["Stacks"][0]
    events = formation.describe_stack_events(StackName="p")["StackEvents"]
    assert stack["StackStatus"] == "CREATE_COMPLETE", [event.get("ResourceStatusReason") for event in events]
    out = {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}
    url, sent = f"{cloud.endpoint}/_aws/execute-api/{out['Api']}/dev/pets", {"Content-Type": "application/json"}
    status, headers, body = fetch(url, "POST", b'{"name": "a"}', sent)
    assert (status, headers["x-a"], body) == (200, "1", b"FIRST")
    assert fetch(url, "POST", b"{}", sent)[0] == 400
    assert fetch(f"{url}/none")[0] == 404
    assert aws("apigateway").get_account()["cloudwatchRoleArn"].endswith("role/logs")
    tags = aws("apigateway").get_rest_api(restApiId=out["Api"])["tags"]
    assert tags["a"] == "b" and tags["aws:cloudformation:stack-name"] == "p"
    status, headers, body = fetch(
        f"{cloud.endpoint}/_aws/execute-api/{out['Http']}/dev/pets", headers={"Origin": "http://o"}
    )
    assert (
        status == 200
        and json.loads(body)["stageVariables"] == {"x": "1"}
        and headers["access-control-allow-origin"] == "*"
    )
    (integration,) = aws("apigatewayv2").get_integrations(ApiId=out["Http"])["Items"]
    assert integration["TimeoutInMillis"] == 29_500
    changed = (
        template.replace("FIRST", "SECOND").replace("Deployed", "Deployed2").replace("RouteKey: GET", "RouteKey: ANY")
    )
    changed = changed.replace("Variables: {n: 1}", "Variables: {m: 1}").replace(", ThrottlingBurstLimit: 50", "")
    formation.update_stack(StackName="p", TemplateBody=changed)
    cloud.quiet()
    events = formation.describe_stack_events(StackName="p")["StackEvents"]
    assert formation.describe_stacks(StackName="p")["Stacks"][0]["StackStatus"] == "UPDATE_COMPLETE", [
        event.get("ResourceStatusReason") for event in events
    ]
    assert fetch(url, "POST", b'{"name": "a"}', sent)[2] == b"SECOND"
    stage = aws("apigateway").get_stage(restApiId=out["Api"], stageName="dev")
    assert stage["variables"] == {"m": "1"}
    assert stage["methodSettings"]["*/*"]["throttlingBurstLimit"] == 5000, "the account's, as the template sets none"
    assert fetch(f"{cloud.endpoint}/_aws/execute-api/{out['Http']}/dev/pets", "PUT", b"")[0] == 200
    formation.delete_stack(StackName="p")
    cloud.quiet()
    assert aws("apigateway").get_rest_apis()["items"] == [] and aws("apigatewayv2").get_apis()["Items"] == []
