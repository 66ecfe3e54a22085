"""Enforcement where services call each other: with roles, and for themselves by the target's resource policy."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
from botocore.exceptions import ClientError

from tests.services.iam_people import ACCOUNT, REGION, Json, Person, allow, document, make_role
from tests.services.test_iam_enforcement import ECHO, make_function, refusal

pytestmark = pytest.mark.usefixtures("iam_enforced")
QUEUE = f"arn:aws:sqs:{REGION}:{ACCOUNT}:"


def queue(aws: Any, name: str, *statements: Json, **attributes: str) -> str:
    if statements:
        attributes["Policy"] = document(*statements)
    url: str = aws("sqs").create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url


def lets_in(service: str, source: str, resource: str, action: str = "sqs:SendMessage") -> Json:
    condition = {"ArnEquals": {"aws:SourceArn": source}, "StringEquals": {"aws:SourceAccount": ACCOUNT}}
    return {
        "Effect": "Allow",
        "Principal": {"Service": service},
        "Action": action,
        "Resource": resource,
        "Condition": condition,
    }


def bodies(aws: Any, url: str) -> list[Any]:
    got = aws("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(each["Body"]) for each in got]


def test_a_topic_reaches_the_queues_whose_policy_lets_it_in(aws: Any, clock: Any) -> None:
    sns = aws("sns")
    topic = sns.create_topic(Name="t")["TopicArn"]
    queue(aws, "open", lets_in("sns.amazonaws.com", topic, QUEUE + "open"))
    queue(aws, "other", lets_in("sns.amazonaws.com", topic + "x", QUEUE + "other"))
    queue(aws, "closed")
    lost = queue(aws, "lost", lets_in("sns.amazonaws.com", topic, QUEUE + "lost"))
    for name in ("open", "other", "closed"):
        redrive = json.dumps({"deadLetterTargetArn": QUEUE + "lost"})
        sns.subscribe(
            TopicArn=topic,
            Protocol="sqs",
            Endpoint=QUEUE + name,
            Attributes={"RedrivePolicy": redrive} if name == "closed" else {},
        )
    sns.publish(TopicArn=topic, Message="hello")
    clock.quiet()
    urls = {name: aws("sqs").get_queue_url(QueueName=name)["QueueUrl"] for name in ("open", "other", "closed")}
    assert [len(bodies(aws, urls[name])) for name in urls] == [1, 0, 0]
    assert [each["Message"] for each in bodies(aws, lost)] == ["hello"]


def test_a_bucket_reaches_the_queue_whose_policy_lets_it_in(aws: Any, clock: Any) -> None:
    s3 = aws("s3")
    s3.create_bucket(Bucket="box")
    url = queue(aws, "q")
    asked = {"QueueConfigurations": [{"QueueArn": QUEUE + "q", "Events": ["s3:ObjectCreated:*"]}]}
    assert (
        refusal(s3.put_bucket_notification_configuration, Bucket="box", NotificationConfiguration=asked)[0]
        == "InvalidArgument"
    )
    statement = lets_in("s3.amazonaws.com", "arn:aws:s3:::box", QUEUE + "q")
    aws("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": document(statement)})
    s3.put_bucket_notification_configuration(Bucket="box", NotificationConfiguration=asked)
    s3.put_object(Bucket="box", Key="k", Body=b"x")
    clock.quiet()
    assert ["Records" in body for body in bodies(aws, url)] == [False, True]


def test_a_rule_reaches_queues_and_functions_that_let_it_in(aws: Any, clock: Any) -> None:
    events, client = aws("events"), aws("lambda")
    rule = events.put_rule(Name="r", EventPattern='{"source": ["app"]}')["RuleArn"]
    url = queue(aws, "q")
    failed = queue(aws, "failed", lets_in("events.amazonaws.com", rule, QUEUE + "failed"))
    role = make_role(aws, "runs", allow("sqs:SendMessage"))
    function = make_function(aws, "f", ECHO, role)
    client.put_function_event_invoke_config(
        FunctionName="f", DestinationConfig={"OnSuccess": {"Destination": QUEUE + "done"}}
    )
    done = queue(aws, "done")
    letters = {"DeadLetterConfig": {"Arn": QUEUE + "failed"}}
    events.put_targets(
        Rule="r", Targets=[{"Id": "q", "Arn": QUEUE + "q", **letters}, {"Id": "f", "Arn": function, **letters}]
    )
    entry = {"Source": "app", "DetailType": "x", "Detail": "{}"}
    events.put_events(Entries=[entry])
    clock.quiet()
    assert (bodies(aws, url), bodies(aws, done), len(bodies(aws, failed))) == ([], [], 2)
    statement = lets_in("events.amazonaws.com", rule, QUEUE + "q")
    aws("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": document(statement)})
    client.add_permission(
        FunctionName="f",
        StatementId="s",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rule,
    )
    events.put_events(Entries=[entry])
    clock.quiet()
    assert (len(bodies(aws, url)), len(bodies(aws, done))) == (1, 1)


def test_a_trigger_reads_its_queue_with_the_functions_role(aws: Any, clock: Any) -> None:
    url = queue(aws, "q")
    role = make_role(aws, "runs")
    make_function(aws, "f", ECHO, role)
    mapping = {"FunctionName": "f", "EventSourceArn": QUEUE + "q"}
    code, message = refusal(aws("lambda").create_event_source_mapping, **mapping)
    assert (code, "sqs:receivemessage" in message) == ("InvalidParameterValueException", True)
    iam = aws("iam")
    iam.attach_role_policy(
        RoleName="runs", PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaSQSQueueExecutionRole"
    )
    aws("lambda").create_event_source_mapping(**mapping)
    aws("sqs").send_message(QueueUrl=url, MessageBody="{}")
    clock.advance(60)
    attributes = aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert attributes["ApproximateNumberOfMessages"] == attributes["ApproximateNumberOfMessagesNotVisible"] == "0"
    assert aws("logs").describe_log_streams(logGroupName="/aws/lambda/f")["logStreams"]
    iam.detach_role_policy(
        RoleName="runs", PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaSQSQueueExecutionRole"
    )
    aws("sqs").send_message(QueueUrl=url, MessageBody="{}")
    clock.advance(60)
    attributes = aws("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert attributes["ApproximateNumberOfMessages"] == "1"


def test_log_lines_need_the_roles_permission(aws: Any) -> None:
    make_function(aws, "f", ECHO, make_role(aws, "mute"))
    assert aws("lambda").invoke(FunctionName="f", Payload=b"{}")["StatusCode"] == 200
    assert aws("logs").describe_log_groups()["logGroups"] == []
    iam = aws("iam")
    iam.attach_role_policy(
        RoleName="mute", PolicyArn="arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    )
    aws("lambda").invoke(FunctionName="f", Payload=b"{}")
    assert [group["logGroupName"] for group in aws("logs").describe_log_groups()["logGroups"]] == ["/aws/lambda/f"]


def test_a_stack_is_made_with_its_creators_permissions(aws: Any, clock: Any) -> None:
    body = json.dumps({"Resources": {"Q": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "made"}}}})
    ada = Person(aws, "ada", allow("cloudformation:*"))
    ada("cloudformation").create_stack(StackName="s", TemplateBody=body)
    clock.advance(120)
    stack = aws("cloudformation").describe_stacks(StackName="s")["Stacks"][0]
    assert stack["StackStatus"].startswith("ROLLBACK")
    reasons = [
        each.get("ResourceStatusReason", "")
        for each in aws("cloudformation").describe_stack_events(StackName="s")["StackEvents"]
    ]
    assert any(f"User: {ada.arn} is not authorized to perform: sqs:createqueue" in reason for reason in reasons)
    role = make_role(aws, "deploys", allow("sqs:*"), service="cloudformation.amazonaws.com")
    request = {"StackName": "t", "TemplateBody": body, "RoleARN": role}
    assert "iam:PassRole" in refusal(ada("cloudformation").create_stack, **request)[1]
    ada.may(allow("cloudformation:*"), allow("iam:PassRole", role))
    ada("cloudformation").create_stack(**request)
    clock.advance(120)
    assert aws("cloudformation").describe_stacks(StackName="t")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"


# doors


def fetch(url: str, keys: Json | None = None, service: str = "execute-api") -> tuple[int, Json]:
    headers: dict[str, str] = {}
    if keys is not None:
        signed = botocore.awsrequest.AWSRequest("GET", url)
        credentials = botocore.credentials.Credentials(keys["aws_access_key_id"], keys["aws_secret_access_key"])
        botocore.auth.SigV4Auth(credentials, service, REGION).add_auth(signed)
        headers = dict(signed.headers.items())
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


SAYS = "def handler(event, context):\n    return {'statusCode': 200, 'body': '{\"ok\": true}'}\n"


def test_methods_with_aws_iam_are_invoked_by_those_who_may(aws: Any, cloud: Any) -> None:
    function = make_function(aws, "f", SAYS, make_role(aws, "runs"))
    api = aws("apigateway")
    id_ = api.create_rest_api(name="a")["id"]
    root = api.get_resources(restApiId=id_)["items"][0]["id"]
    resource = api.create_resource(restApiId=id_, parentId=root, pathPart="x")["id"]
    where = {"restApiId": id_, "resourceId": resource, "httpMethod": "GET"}
    api.put_method(**where, authorizationType="AWS_IAM")
    uri = f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{function}/invocations"
    api.put_integration(**where, type="AWS_PROXY", integrationHttpMethod="POST", uri=uri)
    api.create_deployment(restApiId=id_, stageName="s")
    url = f"{cloud.endpoint}/_aws/execute-api/{id_}/s/x"
    ada = Person(aws, "ada")
    assert fetch(url)[0] == 403
    assert fetch(url, {**ada.keys, "aws_secret_access_key": "wrong"})[0] == 403
    status, answer = fetch(url, ada.keys)
    assert (status, answer["message"]) == (
        403,
        f"User: {ada.arn} is not authorized to perform: execute-api:Invoke on resource: arn:aws:execute-api:{REGION}:"
        f"********{ACCOUNT[-4:]}:{id_}/s/GET/x because no identity-based policy allows the execute-api:Invoke action",
    )
    ada.may(allow("execute-api:Invoke", f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{id_}/s/GET/*"))
    assert fetch(url, ada.keys)[0] == 500  # the function does not let API Gateway in
    aws("lambda").add_permission(
        FunctionName="f", StatementId="s", Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com",
        SourceArn=f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{id_}/*/GET/x",
    )  # fmt: skip
    assert fetch(url, ada.keys) == (200, {"ok": True})


def test_routes_with_aws_iam_and_routes_without(aws: Any, cloud: Any) -> None:
    function = make_function(aws, "f", SAYS, make_role(aws, "runs"))
    api = aws("apigatewayv2")
    id_ = api.create_api(Name="a", ProtocolType="HTTP")["ApiId"]
    made = api.create_integration(
        ApiId=id_, IntegrationType="AWS_PROXY", IntegrationUri=function, PayloadFormatVersion="2.0"
    )
    target = f"integrations/{made['IntegrationId']}"
    api.create_route(ApiId=id_, RouteKey="GET /signed/{x}", AuthorizationType="AWS_IAM", Target=target)
    api.create_route(ApiId=id_, RouteKey="$default", Target=target)
    api.create_stage(ApiId=id_, StageName="$default", AutoDeploy=True)
    base = f"{cloud.endpoint}/_aws/execute-api/{id_}"
    ada = Person(aws, "ada")
    assert fetch(f"{base}/open") == (500, {"message": "Internal Server Error"})
    for number, path in enumerate(("*/$default", "*/GET/signed/*")):
        aws("lambda").add_permission(
            FunctionName="f", StatementId=str(number), Action="lambda:InvokeFunction", Principal="apigateway.amazonaws.com",
            SourceArn=f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{id_}/{path}",
        )  # fmt: skip
    assert fetch(f"{base}/open") == (200, {"ok": True})
    assert fetch(f"{base}/signed/1", ada.keys) == (403, {"message": "Forbidden"})
    ada.may(allow("execute-api:Invoke", f"arn:aws:execute-api:{REGION}:{ACCOUNT}:{id_}/$default/GET/signed/*"))
    assert fetch(f"{base}/signed/1", ada.keys) == (200, {"ok": True})


def test_function_urls_need_a_permission_even_for_everybody(aws: Any) -> None:
    make_function(aws, "f", SAYS, make_role(aws, "runs"))
    client = aws("lambda")
    door = client.create_function_url_config(FunctionName="f", AuthType="NONE")["FunctionUrl"]
    status, answer = fetch(door)
    assert (status, answer["Message"].startswith("Forbidden. For troubleshooting")) == (403, True)
    client.add_permission(
        FunctionName="f", StatementId="s", Action="lambda:InvokeFunctionUrl", Principal="*", FunctionUrlAuthType="NONE"
    )
    assert fetch(door) == (200, {"ok": True})
    client.update_function_url_config(FunctionName="f", AuthType="AWS_IAM")
    ada = Person(aws, "ada")
    assert fetch(door, ada.keys, "lambda")[0] == 403
    ada.may(allow("lambda:InvokeFunctionUrl", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:f"))
    assert fetch(door, ada.keys, "lambda") == (200, {"ok": True})


def test_the_role_of_an_integration_is_asked(aws: Any, cloud: Any) -> None:
    url = queue(aws, "q")
    role = make_role(aws, "sends", service="apigateway.amazonaws.com")
    api = aws("apigateway")
    id_ = api.create_rest_api(name="a")["id"]
    root = api.get_resources(restApiId=id_)["items"][0]["id"]
    where = {"restApiId": id_, "resourceId": root, "httpMethod": "GET"}
    api.put_method(**where, authorizationType="NONE")
    api.put_integration(
        **where, type="AWS", integrationHttpMethod="POST", credentials=role,
        uri=f"arn:aws:apigateway:{REGION}:sqs:path/{ACCOUNT}/q", passthroughBehavior="NEVER",
        requestParameters={"integration.request.header.Content-Type": "'application/x-www-form-urlencoded'"},
        requestTemplates={"application/json": "Action=SendMessage&MessageBody=1"},
    )  # fmt: skip
    api.put_method_response(**where, statusCode="200")
    api.put_method_response(**where, statusCode="403")
    api.put_integration_response(**where, statusCode="200", selectionPattern="")
    api.put_integration_response(**where, statusCode="403", selectionPattern="403")
    api.create_deployment(restApiId=id_, stageName="s")
    door = f"{cloud.endpoint}/_aws/execute-api/{id_}/s/"
    status, answer = fetch(door)
    assert (status, "assumed-role/sends" in json.dumps(answer)) == (403, True)
    aws("iam").put_role_policy(
        RoleName="sends", PolicyName="p", PolicyDocument=document(allow("sqs:SendMessage", QUEUE + "q"))
    )
    assert fetch(door)[0] == 200
    assert bodies(aws, url) == [1]


def test_an_inherited_caller_is_asked_too(aws: Any) -> None:
    """Lambda reads a package from a bucket with the permissions of whoever makes the function."""
    aws("s3").create_bucket(Bucket="code")
    role = make_role(aws, "runs")
    ada = Person(aws, "ada", allow("lambda:*"), allow("iam:PassRole"))
    request = {
        "FunctionName": "f",
        "Runtime": "python3.11",
        "Role": role,
        "Handler": "app.handler",
        "Code": {"S3Bucket": "code", "S3Key": "k"},
    }
    with pytest.raises(ClientError, match="s3:GetObject"):
        ada("lambda").create_function(**request)
