"""Principles of a serverless microservice: deployed alone, scaled under load, private data, and what a failure shows of itself."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import math
import re
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cumulet.testing import deployment

SERVING = """\
Transform: AWS::Serverless-2016-10-31
Parameters:
  Broken: { Type: String, Default: "no" }
  Word: { Type: String, Default: one }
Conditions:
  IsBroken: !Equals [!Ref Broken, "yes"]
Resources:
  Api: { Type: AWS::Serverless::HttpApi }
  Service:
    Type: AWS::Serverless::Function
    Properties:
      Handler: index.handler
      Runtime: python3.12
      Environment: { Variables: { WORD: !Ref Word } }
      InlineCode: |
        import os
        def handler(event, context):
            return {"statusCode": 200, "body": os.environ["WORD"]}
      Events:
        Read: { Type: HttpApi, Properties: { ApiId: !Ref Api, Method: GET, Path: "/" } }
  Wrong:
    Type: AWS::SQS::Queue
    Condition: IsBroken
    DependsOn: Service
    Properties: { DelaySeconds: 9999 }
Outputs:
  Url: { Value: !Sub "https://${Api}.execute-api.${AWS::Region}.${AWS::URLSuffix}" }
  Service: { Value: !Ref Service }
"""
CHAIN = """\
Transform: AWS::Serverless-2016-10-31
Globals:
  Function: { Runtime: python3.12, Handler: index.handler }
Resources:
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{ AttributeName: id, AttributeType: S }]
      KeySchema: [{ AttributeName: id, KeyType: HASH }]
  Third:
    Type: AWS::Serverless::Function
    Properties:
      Policies: [DynamoDBReadPolicy: { TableName: !Ref Table }]
      Environment: { Variables: { TABLE: !Ref Table } }
      InlineCode: |
        import boto3, os
        def handler(event, context):
            return boto3.client("dynamodb").get_item(TableName=os.environ["TABLE"], Key={"id": {"S": "x"}}).get("Item")
  Second:
    Type: AWS::Serverless::Function
    Properties:
      Policies: [LambdaInvokePolicy: { FunctionName: !Ref Third }]
      Environment: { Variables: { NEXT: !Ref Third } }
      InlineCode: &ask |
        import boto3, json, os
        def handler(event, context):
            answer = boto3.client("lambda").invoke(FunctionName=os.environ["NEXT"], Payload=b"{}")
            if "FunctionError" in answer:
                raise RuntimeError("the next one failed")
            return json.load(answer["Payload"])
  First:
    Type: AWS::Serverless::Function
    Properties:
      Policies: [LambdaInvokePolicy: { FunctionName: !Ref Second }]
      Environment: { Variables: { NEXT: !Ref Second } }
      InlineCode: *ask
Outputs:
  First: { Value: !Ref First }
  Third: { Value: !Ref Third }
  Table: { Value: !Ref Table }
"""


def deploy(cloud: Any, folder: Path, text: str, stack: str, **parameters: str) -> deployment.Deployment:
    (folder / f"{stack}.yaml").write_text(text)
    return deployment.deploy(cloud.endpoint, folder / f"{stack}.yaml", stack, **parameters)


@contextmanager
def under_load(**urls: str) -> Iterator[dict[str, list[tuple[int, str]]]]:
    """Three clients for each URL that ask again and again, all at once; the answers. It begins when each has its first.

    They wait for each other before they ask again, so that nothing is in flight now and then: else a slow machine would always be
    busy with one of them, and the deployments meanwhile, which move the clock, wait until it is not.
    """
    answers: dict[str, list[tuple[int, str]]] = {name: [] for name in urls}
    together, begun = threading.Barrier(3 * len(urls)), threading.Semaphore(0)

    def ask(name: str) -> None:
        with contextlib.suppress(threading.BrokenBarrierError):
            while True:
                try:
                    with urllib.request.urlopen(urls[name], timeout=60) as answer:
                        answers[name].append((answer.status, answer.read().decode()))
                except urllib.error.HTTPError as refusal:
                    answers[name].append((refusal.code, refusal.read().decode()))
                begun.release()
                together.wait()

    with concurrent.futures.ThreadPoolExecutor(3 * len(urls)) as pool:
        asking = [pool.submit(ask, name) for name in urls for _ in range(3)]
        try:
            for _ in asking:
                assert begun.acquire(timeout=60)
            yield answers
        finally:
            together.abort()
        for each in asking:
            each.result()


def test_a_stack_is_deployed_changed_and_rolled_back_while_others_serve(cloud: Any, tmp_path: Path) -> None:
    """C2: services are independently deployable: no request to another fails meanwhile, nor to the one that is rolled back."""
    shop = deploy(cloud, tmp_path, SERVING, "shop")
    other = deploy(cloud, tmp_path, SERVING, "other")
    with under_load(shop=shop.url, other=other.url) as answers:
        deploy(cloud, tmp_path, SERVING, "third")
        deploy(cloud, tmp_path, SERVING, "other", Word="two")
        try:
            deploy(cloud, tmp_path, SERVING, "other", Word="three", Broken="yes")
        except SystemExit as failure:
            assert "UPDATE_ROLLBACK_COMPLETE" in str(failure)
        shop.client("cloudformation").delete_stack(StackName="third")
    assert set(answers["shop"]) == {(200, "one")}
    assert {status for status, _ in answers["other"]} == {200}
    with urllib.request.urlopen(other.url, timeout=60) as answer:
        assert answer.read() == b"two", "rolled back"


def test_a_service_is_scaled_and_released_under_load_without_a_failed_request(cloud: Any, tmp_path: Path) -> None:
    """C9: concurrency, memory and provisioned environments change under load; C10: so do versions, and an alias moves back."""
    with_alias = SERVING.replace("      Handler:", "      AutoPublishAlias: live\n      Handler:", 1)
    service = deploy(cloud, tmp_path, with_alias, "shop")
    client, name = service.client("lambda"), service.outputs["Service"].partition(":live")[0]
    with under_load(one=service.url, two=service.url) as answers:
        for reserved in (20, 50, 10):
            client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=reserved)
        client.put_provisioned_concurrency_config(
            FunctionName=name, Qualifier="live", ProvisionedConcurrentExecutions=3
        )
        client.update_function_configuration(
            FunctionName=name, MemorySize=512, Environment={"Variables": {"WORD": "two"}}
        )
        client.delete_provisioned_concurrency_config(FunctionName=name, Qualifier="live")
        version = client.publish_version(FunctionName=name)["Version"]
        client.update_alias(FunctionName=name, Name="live", FunctionVersion=version)
        with urllib.request.urlopen(service.url, timeout=60) as answer:
            assert answer.read() == b"two"
        client.update_alias(FunctionName=name, Name="live", FunctionVersion="1")
        client.delete_function_concurrency(FunctionName=name)
    assert {*answers["one"], *answers["two"]} <= {(200, "one"), (200, "two")}
    with urllib.request.urlopen(service.url, timeout=60) as answer:
        assert answer.read() == b"one"


def test_a_trace_names_the_dependency_that_failed_four_hops_away(cloud: Any, tmp_path: Path) -> None:
    """C13: the failure may not lie within the component that fails, but in a dependency."""
    service = deploy(cloud, tmp_path, CHAIN, "chain")
    assert service.invoke("First", {}) is None
    service.client("dynamodb").delete_table(TableName=service.outputs["Table"])
    root = "1-65000000-131313131313131313131313"
    with service.traced("lambda", root):
        try:
            service.invoke("First", {})
        except deployment.FunctionFailed as failure:
            assert json.loads(str(failure))["errorMessage"] == "the next one failed"
    spans = service.trace(root)
    failed = [span for span in spans if span["status"] not in ("ok",)]
    parents, above = {span["span_id"]: span["parent_id"] for span in spans}, set()
    for span in failed:
        parent = span["parent_id"]
        while parent in parents:
            above.add(parent)
            parent = parents[parent]
    (cause,) = [span for span in failed if span["span_id"] not in above]
    assert (cause["name"], cause["status"]) == ("dynamodb.GetItem", "ResourceNotFoundException")
    assert [span["name"].split("-")[1] for span in failed if span["name"].startswith("invoke")] == [
        "First",
        "Second",
        "Third",
    ]


def test_what_is_billed_is_in_the_report(cloud: Any, tmp_path: Path) -> None:
    """C4: the REPORT line has the duration and what is billed of it, a millisecond at a time."""
    service = deploy(cloud, tmp_path, SERVING, "shop")
    service.client("lambda").invoke(FunctionName=service.outputs["Service"])
    groups = service.client("logs").describe_log_groups()["logGroups"]
    events = service.client("logs").filter_log_events(logGroupName=groups[0]["logGroupName"], filterPattern="REPORT")
    (report,) = [event["message"] for event in events["events"]]
    found = re.search(r"\tDuration: ([\d.]+) ms\tBilled Duration: (\d+) ms\t.*Init Duration: ([\d.]+) ms", report)
    assert found is not None, report
    duration, billed, init = float(found[1]), int(found[2]), float(found[3])
    assert billed == math.ceil(duration + init) or billed == math.ceil(duration)


def test_a_services_data_is_its_own(iam_enforced: Any, tmp_path: Path) -> None:
    """C1: with enforcement a service's role does not reach another's table."""
    one, two = (deploy(iam_enforced, tmp_path, CHAIN, name) for name in ("one", "two"))
    assert one.invoke("Third", {}) is None
    one.client("lambda").update_function_configuration(
        FunctionName=one.outputs["Third"], Environment={"Variables": {"TABLE": two.outputs["Table"]}}
    )
    try:
        one.invoke("Third", {})
    except deployment.FunctionFailed as failure:
        assert "is not authorized to perform: dynamodb:GetItem" in str(failure)
    else:
        raise AssertionError("another service's table was read")


def test_a_browser_on_another_site_calls_a_function_by_its_url(cloud: Any, tmp_path: Path) -> None:
    """C14: called directly from a web application: the function's URL answers the preflight and marks its answers."""
    service = deploy(cloud, tmp_path, SERVING, "shop")
    client = service.client("lambda")
    url = client.create_function_url_config(
        FunctionName=service.outputs["Service"].split(":")[0], AuthType="NONE",
        Cors={"AllowOrigins": ["https://shop.example"], "AllowMethods": ["GET"], "MaxAge": 60},
    )["FunctionUrl"]  # fmt: skip
    client.add_permission(
        FunctionName=service.outputs["Service"].split(":")[0], StatementId="all", Action="lambda:InvokeFunctionUrl",
        Principal="*", FunctionUrlAuthType="NONE",
    )  # fmt: skip

    def ask(origin: str, method: str = "GET", **headers: str) -> Any:
        request = urllib.request.Request(url, headers={"Origin": origin, **headers}, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers["access-control-allow-origin"], answer.read()

    assert ask("https://shop.example") == (200, "https://shop.example", b"one")
    asked = {"Access-Control-Request-Method": "GET"}
    status, allowed, body = ask("https://shop.example", "OPTIONS", **asked)
    assert (status, allowed, body) == (200, "https://shop.example", b"")
    assert ask("https://evil.example")[1] is None
