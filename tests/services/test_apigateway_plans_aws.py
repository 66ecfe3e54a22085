"""API keys, usage plans and stage settings through boto3, templates, and a crash."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.services.apigateway_http import fetch

VALUE = "a-key-of-twenty-letters-or-more"
OTHER = "another-key-of-twenty-letters"
MOCK = {"type": "MOCK", "requestTemplates": {"application/json": '{"statusCode": 200}'}}


def guarded(api: Any) -> str:
    """A MOCK API whose only method demands a key, on stage `s`."""
    made = api.create_rest_api(name="a")
    where = {"restApiId": made["id"], "resourceId": made["rootResourceId"], "httpMethod": "GET"}
    api.put_method(**where, authorizationType="NONE", apiKeyRequired=True)
    api.put_integration(**where, **MOCK)
    api.put_method_response(**where, statusCode="200")
    api.put_integration_response(**where, statusCode="200")
    api.create_deployment(restApiId=made["id"], stageName="s")
    return str(made["id"])


def test_every_operation_on_keys_and_plans(aws: Any, cloud: Any, clock: Any) -> None:
    api = aws("apigateway")
    rest = guarded(api)
    made = api.create_api_key(name="mine", value=VALUE, enabled=True, tags={"a": "b"})
    key = made["id"]
    assert made["value"] == VALUE and made["tags"] == {"a": "b"}
    assert "value" not in api.get_api_key(apiKey=key)
    assert api.get_api_key(apiKey=key, includeValue=True)["value"] == VALUE
    assert len(api.create_api_key(name="other")["value"]) == 40
    assert [one["id"] for one in api.get_api_keys(nameQuery="mi")["items"]] == [key]
    patches = [{"op": "replace", "path": "/description", "value": "the first"}]
    assert api.update_api_key(apiKey=key, patchOperations=patches)["description"] == "the first"
    plan = api.create_usage_plan(
        name="gold", throttle={"rateLimit": 5.0, "burstLimit": 3}, quota={"limit": 9, "period": "DAY"}
    )
    assert plan["quota"] == {"limit": 9, "period": "DAY"}
    row = {"op": "add", "path": "/apiStages", "value": f"{rest}:s"}
    changed = api.update_usage_plan(usagePlanId=plan["id"], patchOperations=[
        row, {"op": "replace", "path": "/quota/limit", "value": "2"},
        {"op": "replace", "path": f"/apiStages/{rest}:s/throttle/~1~1GET/rateLimit", "value": "7"}])  # fmt: skip
    assert changed["quota"]["limit"] == 2
    assert changed["apiStages"] == [{"apiId": rest, "stage": "s", "throttle": {"//GET": {"rateLimit": 7.0}}}]
    member = {"usagePlanId": plan["id"], "keyId": key}
    assert api.create_usage_plan_key(**member, keyType="API_KEY")["value"] == VALUE
    assert api.get_usage_plan_key(**member)["name"] == "mine"
    assert [one["id"] for one in api.get_usage_plan_keys(usagePlanId=plan["id"])["items"]] == [key]
    assert [one["id"] for one in api.get_usage_plans(keyId=key)["items"]] == [plan["id"]]
    assert api.get_usage_plan(usagePlanId=plan["id"])["name"] == "gold"
    url, sent = f"{cloud.endpoint}/_aws/execute-api/{rest}/s/", {"x-api-key": VALUE}
    assert fetch(url)[0] == 403
    answers = [fetch(url, headers=sent) for _ in range(3)]
    assert [status for status, _, _ in answers] == [200, 200, 429]
    assert json.loads(answers[2][2]) == {"message": "Limit Exceeded"}
    usage = api.get_usage(usagePlanId=plan["id"], startDate="2020-01-01", endDate="2020-01-01")
    assert usage["items"] == {key: [[0, 2]]}
    patches = [{"op": "replace", "path": "/remaining", "value": "1"}]
    assert api.update_usage(**member, patchOperations=patches)["items"] == {key: [[2, 1]]}
    assert [fetch(url, headers=sent)[0] for _ in range(2)] == [200, 429]
    clock.advance(86400)
    assert fetch(url, headers=sent)[0] == 200
    arn = f"arn:aws:apigateway:us-east-1::/usageplans/{plan['id']}"
    api.tag_resource(resourceArn=arn, tags={"x": "y"})
    assert api.get_usage_plan(usagePlanId=plan["id"])["tags"] == api.get_tags(resourceArn=arn)["tags"] == {"x": "y"}
    api.untag_resource(resourceArn=f"arn:aws:apigateway:us-east-1::/apikeys/{key}", tagKeys=["a"])
    assert "tags" not in api.get_api_key(apiKey=key)
    api.delete_usage_plan_key(**member)
    with pytest.raises(ClientError, match="API Stages"):
        api.delete_usage_plan(usagePlanId=plan["id"])
    api.update_usage_plan(usagePlanId=plan["id"], patchOperations=[{**row, "op": "remove"}])
    api.delete_usage_plan(usagePlanId=plan["id"])
    api.delete_api_key(apiKey=key)
    with pytest.raises(ClientError, match="Invalid API Key identifier"):
        api.get_api_key(apiKey=key)


def test_keys_are_imported_from_csv(aws: Any) -> None:
    api = aws("apigateway")
    plan = api.create_usage_plan(name="gold")["id"]
    rows = f"Name,key,description,Enabled,usageplanIds\none,{VALUE},first,TRUE,{plan}\ntwo,short,,FALSE,\nthree,{OTHER},,FALSE,\n"
    made = api.import_api_keys(body=rows.encode(), format="csv")
    assert len(made["ids"]) == 2 and made["warnings"][0].startswith("Row 3:")
    found = {one["name"]: one for one in api.get_api_keys(includeValues=True)["items"]}
    assert found["one"]["value"] == VALUE and found["one"]["enabled"] and not found["three"]["enabled"]
    assert [one["name"] for one in api.get_usage_plan_keys(usagePlanId=plan)["items"]] == ["one"]
    with pytest.raises(ClientError, match="already exists"):
        api.import_api_keys(body=rows.encode(), format="csv", failOnWarnings=True)


@pytest.mark.crash
def test_a_quota_counts_every_answered_request_across_sigkill(server_process: Any) -> None:
    """A3: what was let in before the kill is counted after it."""
    server = server_process().start()
    api = boto3.client("apigateway", endpoint_url=server.endpoint, region_name="us-east-1",
                       aws_access_key_id="test", aws_secret_access_key="test")  # fmt: skip
    rest = guarded(api)
    key = api.create_api_key(name="k", value=VALUE, enabled=True)["id"]
    stages = [{"apiId": rest, "stage": "s"}]
    plan = api.create_usage_plan(name="p", quota={"limit": 20, "period": "MONTH"}, apiStages=stages)["id"]
    api.create_usage_plan_key(usagePlanId=plan, keyId=key, keyType="API_KEY")
    let_in = 0
    for burst in (5, 9):
        for _ in range(burst):
            url = f"{server.endpoint}/_aws/execute-api/{rest}/s/"
            let_in += fetch(url, headers={"x-api-key": VALUE})[0] == 200
        server.kill()
        server.start()
    url = f"{server.endpoint}/_aws/execute-api/{rest}/s/"
    answers = [fetch(url, headers={"x-api-key": VALUE})[0] for _ in range(7)]
    assert let_in == 14 and answers == [200] * 6 + [429]


PLAIN = """
Parameters: {Level: {Type: String, Default: INFO}, Format: {Type: String, Default: "$context.requestId $context.status"}}
Resources:
  Role: {Type: AWS::IAM::Role, Properties: {AssumeRolePolicyDocument: {Version: "2012-10-17", Statement: [
    {Effect: Allow, Action: "sts:AssumeRole", Principal: {Service: apigateway.amazonaws.com}}]}}}
  Account: {Type: AWS::ApiGateway::Account, Properties: {CloudWatchRoleArn: !GetAtt Role.Arn}}
  Log: {Type: AWS::Logs::LogGroup, Properties: {LogGroupName: access}}
  Api: {Type: AWS::ApiGateway::RestApi, Properties: {Name: plain}}
  Get:
    Type: AWS::ApiGateway::Method
    Properties:
      RestApiId: !Ref Api
      ResourceId: !GetAtt Api.RootResourceId
      HttpMethod: GET
      AuthorizationType: NONE
      ApiKeyRequired: true
      MethodResponses: [{StatusCode: 200}]
      Integration:
        Type: MOCK
        RequestTemplates: {application/json: '{"statusCode": 200}'}
        IntegrationResponses: [{StatusCode: 200}]
  Deployment: {Type: AWS::ApiGateway::Deployment, DependsOn: Get, Properties: {RestApiId: !Ref Api}}
  Stage:
    Type: AWS::ApiGateway::Stage
    DependsOn: Account
    Properties:
      RestApiId: !Ref Api
      DeploymentId: !Ref Deployment
      StageName: live
      TracingEnabled: true
      AccessLogSetting: {DestinationArn: !GetAtt Log.Arn, Format: !Ref Format}
      MethodSettings:
        - {ResourcePath: "/*", HttpMethod: "*", LoggingLevel: !Ref Level, DataTraceEnabled: true, MetricsEnabled: true}
        - {ResourcePath: "/", HttpMethod: GET, ThrottlingBurstLimit: 50, ThrottlingRateLimit: 10}
  Key: {Type: AWS::ApiGateway::ApiKey, Properties: {Name: k, Value: a-key-of-twenty-letters-or-more, Enabled: true}}
  Plan:
    Type: AWS::ApiGateway::UsagePlan
    Properties:
      UsagePlanName: p
      ApiStages: [{ApiId: !Ref Api, Stage: !Ref Stage, Throttle: {//GET: {BurstLimit: 5, RateLimit: 1}}}]
      Quota: {Limit: 3, Period: DAY}
  PlanKey: {Type: AWS::ApiGateway::UsagePlanKey, Properties: {KeyId: !Ref Key, KeyType: API_KEY, UsagePlanId: !Ref Plan}}
Outputs: {Api: {Value: !Ref Api}, Key: {Value: !Ref Key}, Plan: {Value: !GetAtt Plan.Id}}
"""


def outputs(aws: Any, cloud: Any, name: str) -> dict[str, str]:
    cloud.quiet()
    stack = aws("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    events = aws("cloudformation").describe_stack_events(StackName=name)["StackEvents"]
    assert stack["StackStatus"].endswith("E_COMPLETE"), [
        event["ResourceStatusReason"] for event in events if event.get("ResourceStatusReason")
    ]
    return {one["OutputKey"]: one["OutputValue"] for one in stack.get("Outputs", [])}


def test_a_template_sets_logs_metrics_throttles_keys_and_plans(aws: Any, cloud: Any) -> None:
    formation, api, logs = aws("cloudformation"), aws("apigateway"), aws("logs")
    formation.create_stack(StackName="s", TemplateBody=PLAIN, Capabilities=["CAPABILITY_IAM"])
    out = outputs(aws, cloud, "s")
    url = f"{cloud.endpoint}/_aws/execute-api/{out['Api']}/live/"
    assert [fetch(url, headers={"x-api-key": VALUE})[0] for _ in range(4)] == [200, 200, 200, 429]
    lines = [event["message"] for event in logs.filter_log_events(logGroupName="access")["events"]]
    assert sorted(line.split()[1] for line in lines) == ["200", "200", "200", "429"]
    group = f"API-Gateway-Execution-Logs_{out['Api']}/live"
    told = "\n".join(event["message"] for event in logs.filter_log_events(logGroupName=group)["events"])
    assert "Key quota exhausted for Usage Plan ID" in told and VALUE not in told
    stage = api.get_stage(restApiId=out["Api"], stageName="live")
    assert stage["tracingEnabled"] and stage["methodSettings"]["*/*"]["loggingLevel"] == "INFO"
    assert stage["methodSettings"]["~1/GET"]["throttlingBurstLimit"] == 50
    changed = PLAIN.replace("Limit: 3, Period", "Limit: 5, Period").replace("Default: INFO", "Default: 'OFF'")
    changed = changed.replace("      AccessLogSetting: {DestinationArn: !GetAtt Log.Arn, Format: !Ref Format}\n", "")
    formation.update_stack(StackName="s", TemplateBody=changed, Capabilities=["CAPABILITY_IAM"])
    assert outputs(aws, cloud, "s") == out, "nothing is replaced"
    stage = api.get_stage(restApiId=out["Api"], stageName="live")
    assert "accessLogSettings" not in stage and stage["methodSettings"]["*/*"]["loggingLevel"] == "OFF"
    plan = api.get_usage_plan(usagePlanId=out["Plan"])
    assert plan["quota"]["limit"] == 5 and plan["apiStages"][0]["throttle"]["//GET"]["burstLimit"] == 5
    formation.delete_stack(StackName="s")
    cloud.quiet()
    assert not api.get_api_keys()["items"] and not api.get_usage_plans()["items"] and not api.get_rest_apis()["items"]


SAM = """
Transform: AWS::Serverless-2016-10-31
Globals:
  Api:
    TracingEnabled: true
    Cors: "'*'"
    MethodSettings: [{ResourcePath: "/*", HttpMethod: "*", MetricsEnabled: true, ThrottlingBurstLimit: 9}]
    AccessLogSetting: {DestinationArn: !GetAtt Log.Arn, Format: "$context.requestId"}
    Auth: {ApiKeyRequired: true, UsagePlan: {CreateUsagePlan: PER_API, Quota: {Limit: 100, Period: DAY}}}
Resources:
  Account: {Type: AWS::ApiGateway::Account, Properties: {CloudWatchRoleArn: arn:aws:iam::000000000000:role/logs}}
  Log: {Type: AWS::Logs::LogGroup, DependsOn: Account}
  Api: {Type: AWS::Serverless::Api, Properties: {StageName: dev}}
  F:
    Type: AWS::Serverless::Function
    Properties:
      Handler: index.handler
      Runtime: python3.12
      Role: arn:aws:iam::000000000000:role/r
      InlineCode: |
        def handler(event, context):
            return {"statusCode": 200, "body": event["requestContext"]["identity"]["apiKeyId"]}
      Events: {A: {Type: Api, Properties: {Path: /x, Method: get, RestApiId: !Ref Api}}}
Outputs: {Api: {Value: !Ref Api}, Key: {Value: !Ref ApiApiKey}}
"""


def test_sams_globals_and_usage_plans_hold(aws: Any, cloud: Any) -> None:
    api = aws("apigateway")
    aws("cloudformation").create_stack(StackName="s", TemplateBody=SAM, Capabilities=["CAPABILITY_AUTO_EXPAND"])
    out = outputs(aws, cloud, "s")
    url = f"{cloud.endpoint}/_aws/execute-api/{out['Api']}/dev/x"
    value = api.get_api_key(apiKey=out["Key"], includeValue=True)["value"]
    assert fetch(url)[0] == 403
    assert fetch(url, headers={"x-api-key": value})[::2] == (200, out["Key"].encode())
    status, headers, _ = fetch(url, "OPTIONS")
    assert status == 403 or headers["access-control-allow-origin"] == "*"
    stage = api.get_stage(restApiId=out["Api"], stageName="dev")
    assert (
        stage["methodSettings"]["*/*"]["throttlingBurstLimit"] == 9 and stage["methodSettings"]["*/*"]["metricsEnabled"]
    )
    assert stage["accessLogSettings"]["format"] == "$context.requestId" and stage["tracingEnabled"]
