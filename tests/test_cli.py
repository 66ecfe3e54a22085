"""The command line against real servers: start, stop, deploy, look, and what it says when something is wrong."""

import io
import json
import os
import re
import subprocess
import sys
import urllib.request
import zipfile

import boto3
import pytest

from cumulet.cli.urls import local_url
from cumulet.testing.process import ServerProcess

HANDLER = "def handler(event, context):\n    return {'statusCode': 200, 'body': 'one'}\n"
TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Greeter:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: src/
      Handler: app.handler
      Runtime: python3.12
      Events:
        Any: { Type: HttpApi, Properties: { Path: /hello, Method: GET } }
Outputs:
  Url:
    Value: !Sub "https://${ServerlessHttpApi}.execute-api.${AWS::Region}.amazonaws.com"
"""


def cumulet(*arguments, status=0, **options):
    done = subprocess.run(
        [sys.executable, "-m", "cumulet.cli.main", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        **options,
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def without_an_endpoint():
    return {name: value for name, value in os.environ.items() if name not in ("AWS_ENDPOINT_URL", "CUMULET_DATA")}


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    """A server on the real clock for all tests that need no other."""
    started = ServerProcess(tmp_path_factory.mktemp("cli") / "data").start()
    yield started
    started.stop()


@pytest.fixture
def server(running):
    """The module's server, emptied."""
    urllib.request.urlopen(f"{running.endpoint}/_cumulet/reset", b"", timeout=60).close()
    return running


@pytest.fixture
def app(tmp_path):
    folder = tmp_path / "app"
    (folder / "src").mkdir(parents=True)
    (folder / "src/app.py").write_text(HANDLER)
    (folder / "template.yaml").write_text(TEMPLATE)
    return folder


def get(url):
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read().decode()


def test_up_detached_status_reset_and_down(tmp_path):
    data = tmp_path / "data"
    try:
        assert "Cumulet is up" in cumulet("up", "--detach", "--port", 0, "--data", data)
        assert "running" in cumulet("status", "--data", data)
        assert "is empty" in cumulet("reset", "--data", data)
        taken = json.loads((data / "server.json").read_text())
        said = cumulet("up", "--port", 0, "--data", data, status=1)
        assert f"pid {taken['pid']}" in said
        port = taken["endpoint"].rpartition(":")[2]
        said = cumulet("up", "--port", port, "--data", tmp_path / "other", status=1)
        assert f"Port {port} is in use by pid {taken['pid']}" in said
    finally:
        said = cumulet("down", "--data", data)
    assert "Stopped" in said
    assert "No server runs" in cumulet("down", "--data", data)


def test_functions_run_on_a_data_directory_that_is_named_relatively(app):
    """As `cumulet up` does that is given none: what is in ./.cumulet is found from inside the functions too."""
    try:
        said = cumulet("up", "--detach", "--port", 0, cwd=app, env=without_an_endpoint())
        assert f"log in {app}/.cumulet/server.log" in said
        said = cumulet("deploy", "--stack", "near", cwd=app, env=without_an_endpoint())
        url = next(word for word in said.split() if word.startswith("http://"))
        assert get(f"{url}/hello") == "one"
    finally:
        cumulet("down", cwd=app, env=without_an_endpoint())


def test_a_command_without_a_server_says_how_to_start_one(tmp_path):
    said = cumulet("status", "--data", tmp_path, "--endpoint-url", "http://127.0.0.1:1", status=1)
    assert "cumulet up" in said


def test_deploy_creates_then_updates_only_what_changed(server, app):
    options = ("--stack", "greeter", "--endpoint-url", server.endpoint)
    said = cumulet("deploy", app / "template.yaml", *options)
    assert "CREATE_COMPLETE  Greeter" in said
    url = next(word for word in said.split() if word.startswith(server.endpoint))
    assert get(f"{url}/hello") == "one"

    assert "nothing to change" in cumulet("deploy", app / "template.yaml", *options)

    (app / "src/app.py").write_text(HANDLER.replace("one", "two"))
    said = cumulet("deploy", app / "template.yaml", *options)
    assert "UPDATE_COMPLETE  Greeter " in said
    assert "GreeterRole" not in said
    assert get(f"{url}/hello") == "two"

    assert "REPORT RequestId" in cumulet("logs", "greeter", "--endpoint-url", server.endpoint)
    listed = cumulet("trace", "--endpoint-url", server.endpoint)
    trace = next(line.split()[0] for line in listed.splitlines() if "/hello" in line)
    assert "invoke greeter" in cumulet("trace", trace, "--endpoint-url", server.endpoint)


def test_a_template_that_cdk_synthesized_is_deployed_with_its_assets(server, tmp_path):
    (tmp_path / "asset.1f").mkdir()
    (tmp_path / "asset.1f/app.py").write_text(HANDLER)
    bucket, role = "AssetParameters1fS3Bucket", "arn:aws:iam::000000000000:role/any"
    function = {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Code": {"S3Bucket": {"Ref": bucket}, "S3Key": "1f.zip"},
            "FunctionName": "synthesized",
            "Handler": "app.handler",
            "Role": role,
            "Runtime": "python3.12",
        },
        "Metadata": {"aws:asset:path": "asset.1f", "aws:asset:property": "Code"},
    }
    metadata = {"Type": "AWS::CDK::Metadata", "Properties": {"Modules": "aws-cdk=1.75.0"}}
    template = {
        "Resources": {"F": function, "CDKMetadata": metadata},
        "Parameters": {bucket: {"Type": "String"}},
    }
    (tmp_path / "template.json").write_text(json.dumps(template))
    said = cumulet("deploy", tmp_path / "template.json", "--stack", "cdk", "--endpoint-url", server.endpoint)
    assert "CREATE_COMPLETE  F " in said
    functions = boto3.client(
        "lambda",
        endpoint_url=server.endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    assert json.load(functions.invoke(FunctionName="synthesized")["Payload"])["body"] == "one"
    assert "REPORT RequestId" in cumulet("logs", "cdk", "--endpoint-url", server.endpoint)


def test_requirements_are_installed_into_the_package(server, app, tmp_path):
    wheel = tmp_path / "cirrus-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("cirrus.py", "HEIGHT = 6000\n")
        archive.writestr("cirrus-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: cirrus\nVersion: 1.0\n")
        archive.writestr(
            "cirrus-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("cirrus-1.0.dist-info/RECORD", "")
    (app / "src/requirements.txt").write_text(f"{wheel}\n")
    (app / "src/app.py").write_text("import cirrus\n" + HANDLER.replace("'one'", "str(cirrus.HEIGHT)"))
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    said = cumulet("deploy", app / "template.yaml", "--stack", "r", "--endpoint-url", server.endpoint, env=environment)
    url = next(word for word in said.split() if word.startswith(server.endpoint))
    assert get(f"{url}/hello") == "6000"


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("    Type: AWS::Serverless::Function", "    Type: AWS::Serverless::Funktion", 3, "Funktion"),
        ("      Handler: app.handler", "      Handler: !Ref Nobody", 7, "Nobody"),
        ("  Greeter:", "  Greeter: [", None, "YAML not well-formed"),
        ("CodeUri: src/", "CodeUri: nowhere/", None, "nowhere"),
    ],
)
def test_a_bad_template_says_where_and_changes_nothing(server, app, old, new, line, words):
    (app / "template.yaml").write_text(TEMPLATE.partition("Outputs:")[0].replace(old, new))
    said = cumulet("deploy", app / "template.yaml", "--stack", "bad", "--endpoint-url", server.endpoint, status=1)
    assert words in said
    if line is not None:
        assert f"template.yaml:{line}" in said
    assert "stack bad: CREATE" not in cumulet("status", "--endpoint-url", server.endpoint)


def test_a_server_for_other_machines_names_no_key_that_it_refuses(server_process):
    """Off loopback the keys of IAM alone are good: one that was made on loopback, on the same data, is."""
    server = server_process().start()
    people = server.client("iam")
    people.create_user(UserName="ada")
    key = people.create_access_key(UserName="ada")["AccessKey"]
    assert "AWS_ACCESS_KEY_ID=test" in server.log.read_text()
    server.stop()
    server.log.write_text("")
    server.options = ("--host", "0.0.0.0")
    server.start()
    assert "AWS_ACCESS_KEY_ID=test" not in server.log.read_text()
    assert "aws iam create-user" in server.log.read_text()
    keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    sts = boto3.client("sts", endpoint_url=server.endpoint, region_name="us-east-1", **keys)
    assert sts.get_caller_identity()["Arn"].endswith(":user/ada")


def test_clock_moves_a_virtual_clock_and_explains_a_real_one(server, server_process):
    at = ("--endpoint-url", server_process("--clock", "virtual").start().endpoint)
    before = cumulet("clock", *at)
    after = cumulet("clock", "advance", 3600, *at)
    assert before != after
    refusal = cumulet("clock", "advance", 1, "--endpoint-url", server.endpoint, status=1)
    assert "409: The clock is real. Freeze it first (cumulet clock freeze, or {" in refusal


def test_patterns_are_listed_shown_and_copied(tmp_path):
    assert "01-simple-web-service" in cumulet("patterns", "list")
    assert "The Simple Web Service" in cumulet("patterns", "show", "1")
    cumulet("patterns", "new", "simple-web-service", tmp_path / "mine")
    assert (tmp_path / "mine/template.yaml").exists()
    assert (tmp_path / "mine/src/app.py").exists()
    assert "There are: 01-simple-web-service" in cumulet("patterns", "show", "99", status=1)


def test_local_urls_keep_stage_and_path():
    here = "http://127.0.0.1:4566"
    assert (
        local_url(here, "https://abc.execute-api.eu-west-1.amazonaws.com/Prod/x")
        == f"{here}/_aws/execute-api/abc/Prod/x"
    )
    assert local_url(here, "https://abc.lambda-url.us-east-1.on.aws/") == f"{here}/_aws/lambda-url/abc/"
    assert local_url(here, "https://example.com") is None


FAILING = """\
import json

def handler(event, context):
    if event.get("fails", True):
        raise ValueError(f"no luck with {event['id']}")
"""
FAILING_TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Worker:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: src/
      Handler: app.handler
      Runtime: python3.12
      DeadLetterQueue: { Type: SQS, TargetArn: !GetAtt Failed.Arn }
      Events:
        Tasks: { Type: SQS, Properties: { Queue: !GetAtt Tasks.Arn, BatchSize: 1 } }
  Failed: { Type: AWS::SQS::Queue }
  Poison: { Type: AWS::SQS::Queue }
  Tasks:
    Type: AWS::SQS::Queue
    Properties:
      RedrivePolicy: { deadLetterTargetArn: !GetAtt Poison.Arn, maxReceiveCount: 1 }
Outputs:
  Worker: { Value: !Ref Worker }
  Failed: { Value: !GetAtt Failed.QueueName }
  Poison: { Value: !GetAtt Poison.QueueName }
  Tasks: { Value: !Ref Tasks }
"""


def test_dead_letter_queues_are_listed_shown_and_given_back(tmp_path, server_process):
    """B5.4: a failed event is inspected and replayed with one call; its whole way is one trace."""
    (tmp_path / "app/src").mkdir(parents=True)
    (tmp_path / "app/src/app.py").write_text(FAILING)
    (tmp_path / "app/template.yaml").write_text(FAILING_TEMPLATE)
    server = server_process("--clock", "virtual").start()
    here = ("--endpoint-url", server.endpoint)
    assert "No queue is a dead-letter queue" in cumulet("dlq", "list", *here)
    cumulet("deploy", tmp_path / "app/template.yaml", "--stack", "work", *here)
    session = {"endpoint_url": server.endpoint, "region_name": "us-east-1"}
    stacks = boto3.client("cloudformation", **session).describe_stacks(StackName="work")["Stacks"][0]["Outputs"]
    names = {output["OutputKey"]: output["OutputValue"] for output in stacks}
    boto3.client("lambda", **session).invoke(
        FunctionName=names["Worker"], InvocationType="Event", Payload=b'{"id": "e1"}'
    )
    cumulet("clock", "advance", "600", *here)

    listed = cumulet("dlq", "list", *here)
    assert f"1  {names['Failed']}" in listed
    assert f"from function:{names['Worker']}" in listed
    shown = cumulet("dlq", "show", "Failed", *here)
    assert '{"id": "e1"}' in shown
    assert "ErrorMessage: no luck with e1" in shown
    assert "visible" in shown
    trace = shown.partition("trace: ")[2].split()[0]

    assert "1 message of" in cumulet("dlq", "redrive", "Failed", *here)
    assert "is empty" in cumulet("dlq", "show", "Failed", *here)
    cumulet("clock", "advance", "600", *here)
    assert '{"id": "e1"}' in cumulet("dlq", "show", "Failed", *here), "it failed again"
    journey = cumulet("trace", trace, *here)
    assert journey.count(f"invoke {names['Worker']}") == 6, "three attempts, the replay, and three more in one tree"
    assert journey.index("lambda.Invoke") < journey.index("sqs.SendMessage")
    assert "attempt 2 (+60 s)" in journey, "by the cloud's clock, which was moved"
    assert "attempt 3 (+180 s)" in journey

    sqs = boto3.client("sqs", **session)
    sqs.send_message(QueueUrl=names["Tasks"], MessageBody="a task")
    cumulet("clock", "advance", "600", *here)
    assert "a task" in cumulet("dlq", "show", names["Poison"], *here)
    trace = cumulet("dlq", "show", names["Poison"], *here).partition("trace: ")[2].split()[0]
    assert "1 message of" in cumulet("dlq", "redrive", names["Poison"], *here)
    cumulet("clock", "advance", "600", *here)
    journey = cumulet("trace", trace, *here)
    assert journey.startswith("    0.00 ms")
    assert "sqs.SendMessage" in journey.splitlines()[0]
    assert journey.count(f"invoke {names['Worker']}") == 2, "before the dead-letter queue, and after the redrive"


def test_a_dead_letter_queue_of_a_queue_and_a_function_gives_each_what_was_its(tmp_path, server_process):
    (tmp_path / "app/src").mkdir(parents=True)
    (tmp_path / "app/src/app.py").write_text(FAILING)
    shared = FAILING_TEMPLATE.replace("TargetArn: !GetAtt Failed.Arn", "TargetArn: !GetAtt Poison.Arn")
    (tmp_path / "app/template.yaml").write_text(shared)
    server = server_process("--clock", "virtual").start()
    here = ("--endpoint-url", server.endpoint)
    cumulet("deploy", tmp_path / "app/template.yaml", "--stack", "work", *here)
    session = {"endpoint_url": server.endpoint, "region_name": "us-east-1"}
    stacks = boto3.client("cloudformation", **session).describe_stacks(StackName="work")["Stacks"][0]["Outputs"]
    names = {output["OutputKey"]: output["OutputValue"] for output in stacks}
    sqs = boto3.client("sqs", **session)
    for _ in range(2):
        sqs.send_message(QueueUrl=names["Tasks"], MessageBody="a task")
    cumulet("clock", "advance", "600", *here)
    boto3.client("lambda", **session).invoke(
        FunctionName=names["Worker"], InvocationType="Event", Payload=b'{"id": "e1"}'
    )
    cumulet("clock", "advance", "600", *here)
    sqs.send_message(QueueUrl=names["Tasks"], MessageBody="a task")
    cumulet("clock", "advance", "600", *here)
    assert cumulet("dlq", "show", names["Poison"], *here).count("visible") == 4

    assert "4 messages of" in cumulet("dlq", "redrive", names["Poison"], *here)
    cumulet("clock", "advance", "600", *here)
    again = cumulet("dlq", "show", names["Poison"], *here)
    assert (again.count("  a task\n"), again.count('  {"id": "e1"}\n')) == (3, 1)


def test_a_message_that_cannot_be_given_back_stays_visible(server):
    here = ("--endpoint-url", server.endpoint)
    sqs = boto3.client("sqs", endpoint_url=server.endpoint, region_name="us-east-1")
    url = sqs.create_queue(QueueName="held")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="{}")
    assert "Function not found" in cumulet("dlq", "redrive", "held", "--to", "missing", *here, status=1)
    assert "visible" in cumulet("dlq", "show", "held", *here)


def test_what_a_function_failed_at_can_be_given_to_a_queue(server):
    here = ("--endpoint-url", server.endpoint)
    sqs = boto3.client("sqs", endpoint_url=server.endpoint, region_name="us-east-1")
    urls = [sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("gone-wrong", "by-hand")]
    attributes = {"ErrorCode": {"DataType": "Number", "StringValue": "200"},
                  "Raw": {"DataType": "Binary", "BinaryValue": bytes(range(256))}}  # fmt: skip
    for number in range(12):
        sqs.send_message(QueueUrl=urls[0], MessageBody=f"event {number}", MessageAttributes=attributes)
    assert "There is no queue" in cumulet("dlq", "redrive", "gone-wrong", "--to", "arn:aws:sqs:us-east-1:000000000000:x",
                                          *here, status=1)  # fmt: skip
    arn = "arn:aws:sqs:us-east-1:000000000000:by-hand"
    assert "12 messages of gone-wrong given back" in cumulet("dlq", "redrive", "gone-wrong", "--to", arn, *here)
    assert "is empty" in cumulet("dlq", "show", "gone-wrong", *here)
    found = []
    while got := sqs.receive_message(QueueUrl=urls[1], MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get(
        "Messages"
    ):
        found += got
    assert {message["Body"] for message in found} == {f"event {number}" for number in range(12)}
    for message in found:
        assert message["MessageAttributes"] == attributes


def test_events_that_a_target_could_not_take_are_given_to_it_again(server):
    here = ("--endpoint-url", server.endpoint)
    session = {"endpoint_url": server.endpoint, "region_name": "us-east-1"}
    sqs, events = boto3.client("sqs", **session), boto3.client("events", **session)
    arn = "arn:aws:sqs:us-east-1:000000000000:{}".format
    sqs.create_queue(QueueName="lost-events")
    events.create_event_bus(Name="orders")
    for name, bus, more in (("plain", "orders", {}), ("shaped", "default", {"InputPath": "$.detail"})):
        events.put_rule(Name=name, EventBusName=bus, EventPattern='{"source": ["shop"]}')
        target = {"Id": "1", "Arn": arn(name), "DeadLetterConfig": {"Arn": arn("lost-events")}, **more}
        events.put_targets(Rule=name, EventBusName=bus, Targets=[target])
    entry = {"Source": "shop", "DetailType": "sold", "Detail": '{"n": 1}', "EventBusName": "orders"}
    (number,) = (each["EventId"] for each in events.put_events(Entries=[entry])["Entries"])
    assert "does not exist" in cumulet("dlq", "redrive", "lost-events", *here, status=1)
    url = sqs.create_queue(QueueName="plain")["QueueUrl"]
    assert "1 message of lost-events given back" in cumulet("dlq", "redrive", "lost-events", *here)
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    assert json.loads(message["Body"])["id"] == number
    assert "is empty" in cumulet("dlq", "show", "lost-events", *here)
    events.put_events(Entries=[{**entry, "EventBusName": "default"}])
    sqs.create_queue(QueueName="shaped")
    assert "Say with --to" in cumulet("dlq", "redrive", "lost-events", *here, status=1)
    assert number not in cumulet("dlq", "show", "lost-events", *here)
    assert "visible" in cumulet("dlq", "show", "lost-events", *here)


def test_one_message_that_is_no_event_does_not_hold_up_the_others(server):
    here = ("--endpoint-url", server.endpoint)
    sqs = boto3.client("sqs", endpoint_url=server.endpoint, region_name="us-east-1")
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr(zipfile.ZipInfo("index.py"), "def handler(event, context):\n    return 1\n")
    boto3.client("lambda", endpoint_url=server.endpoint, region_name="us-east-1").create_function(
        FunctionName="takes-json", Runtime="python3.12", Role="arn:aws:iam::000000000000:role/r", Handler="index.handler",
        Code={"ZipFile": sink.getvalue()},
    )  # fmt: skip
    url = sqs.create_queue(QueueName="mixed")["QueueUrl"]
    for body in ("no json", '{"n": 1}', '{"n": 2}'):
        sqs.send_message(QueueUrl=url, MessageBody=body)
    said = cumulet("dlq", "redrive", "mixed", "--to", "takes-json", *here, status=1)
    assert "2 of 3 messages of mixed given back" in said
    shown = cumulet("dlq", "show", "mixed", *here)
    assert ("no json" in shown, '"n"' in shown) == (True, False)


def test_a_redrive_that_could_go_several_ways_asks_where(server):
    here = ("--endpoint-url", server.endpoint)
    sqs = boto3.client("sqs", endpoint_url=server.endpoint, region_name="us-east-1")
    sqs.send_message(QueueUrl=sqs.create_queue(QueueName="stray")["QueueUrl"], MessageBody="x")
    sqs.create_queue(QueueName="home")
    assert "Say it with --to" in cumulet("dlq", "redrive", "stray", *here, status=1)
    assert "No queue is named 'nowhere'" in cumulet("dlq", "show", "nowhere", *here, status=1)
    sqs.create_queue(QueueName="stray-2")
    assert "More than one" in cumulet("dlq", "show", "stra", *here, status=1)


def test_cost_is_what_was_counted_times_what_aws_asks(tmp_path, server_process):
    """B12.4: the bill of a router, beside what a state machine would add for the same load."""
    (tmp_path / "app/src").mkdir(parents=True)
    (tmp_path / "app/src/app.py").write_text("def handler(event, context):\n    pass\n")
    (tmp_path / "app/template.yaml").write_text(FAILING_TEMPLATE)
    server = server_process("--clock", "virtual").start()
    here = ("--endpoint-url", server.endpoint)
    assert "Nothing that costs" in cumulet("cost", *here)
    cumulet("deploy", tmp_path / "app/template.yaml", "--stack", "work", *here)
    session = {"endpoint_url": server.endpoint, "region_name": "us-east-1"}
    stacks = boto3.client("cloudformation", **session).describe_stacks(StackName="work")["Stacks"][0]["Outputs"]
    names = {output["OutputKey"]: output["OutputValue"] for output in stacks}
    function = boto3.client("lambda", **session)
    for _ in range(40):
        function.invoke(FunctionName=names["Worker"])
    sqs = boto3.client("sqs", **session)
    other = sqs.create_queue(QueueName="other")["QueueUrl"]
    for _ in range(10):
        sqs.send_message(QueueUrl=other, MessageBody="x")
    events = boto3.client("events", **session)
    events.put_events(Entries=[{"Source": "a", "DetailType": "t", "Detail": "{}"}] * 5)
    table = boto3.client("dynamodb", **session)
    names_of = [{"AttributeName": name, "AttributeType": "S"} for name in ("id", "kind")]
    table.create_table(
        TableName="indexed",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=names_of,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-kind",
                "KeySchema": [{"AttributeName": "kind", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    cumulet("clock", "advance", "60", *here)
    table.put_item(TableName="indexed", Item={"id": {"S": "1"}, "kind": {"S": "k"}})
    cumulet("clock", "advance", "120", *here)
    everything = cumulet("cost", *here)
    assert re.search(r"\$  0\.000005000  events all buses +5 events put", everything)
    assert re.search(r"dynamodb indexed +2\.0 write units, 0\.0 read units", everything), "the table's and its index's"
    assert f"lambda {names['Worker']}" in everything
    assert "40 invocations" in everything
    assert "$  0.000004000  sqs other" in everything
    assert "10 requests at most" in everything
    alone = cumulet("cost", "--stack", "work", *here)
    assert "sqs other" not in alone
    assert "$  0.001000000  if a state machine made these 40 invocations" in alone
    total = float(alone.partition("  total")[0].rpartition("$")[2])
    assert 40 * 0.2 / 1e6 < total < 40 * 0.2 / 1e6 + 0.001
