"""The map of stacks that are really deployed, driven and broken. Checklist: A4."""

import io
import json
import urllib.error
import urllib.request
import zipfile

import pytest


def test_a_handoff_is_asynchronous_and_its_failures_are_red(pattern, cloud, clock, read):
    """A4: sync, async and error edges from observed calls, each attempt at an event is one; B5.2."""
    service = pattern("05").deploy(cloud.endpoint)
    assert read("internal-handoff").counts == {}
    service.invoke("Orders", {"order": "o1", "address": "1 Cloud Street"})
    clock.quiet()
    sunny = read("internal-handoff")
    assert sunny.nodes == {
        ("client", "client"),
        ("function", "Orders"),
        ("function", "Shipping"),
        ("table", "Parcels"),
        ("queue", "Failed"),
        ("topic", "Operators"),
        ("alarm", "TooManyFailed"),
    }
    assert sunny.members == {"Orders", "Shipping", "Parcels", "Failed", "Operators", "TooManyFailed"}
    calls = {
        ("client", "sync", "Orders"): (1, 0),
        ("Orders", "async", "Shipping"): (1, 0),
        ("Shipping", "sync", "Parcels"): (1, 0),
    }
    assert sunny.counts == calls
    assert all(edge["error"] is None for edge in sunny.edges.values())

    for number in range(2):
        service.invoke("Orders", {"order": f"lost{number}"})
    clock.quiet()
    assert read("internal-handoff").counts == {
        **calls,
        ("client", "sync", "Orders"): (3, 0),
        ("Orders", "async", "Shipping"): (3, 2),
    }
    clock.advance(600)
    broken = read("internal-handoff")
    assert broken.counts == {
        ("client", "sync", "Orders"): (3, 0),
        ("Orders", "async", "Shipping"): (7, 6),
        ("Shipping", "sync", "Parcels"): (1, 0),
        ("Shipping", "lost", "Failed"): (2, 0),
        ("TooManyFailed", "async", "Operators"): (2, 0),  # to OK, then to ALARM
    }
    handed = broken.edges["Orders", "async", "Shipping"]
    assert handed["error"]["code"] == "AddressMissing" and handed["error"]["message"].endswith("has no address")
    assert broken.edges["Shipping", "lost", "Failed"]["kind"] == "async"
    assert len(handed["traces"]) == 7 and handed["traces"][0]["status"] == "AddressMissing"
    assert 0 < handed["median_ms"] <= handed["p99_ms"]
    spans = service.trace(handed["traces"][0]["trace_id"])
    assert {span["error"] for span in spans if span["status"] == "AddressMissing"} == {handed["error"]["message"]}


def test_an_aggregator_calls_three_services_synchronously(pattern, cloud, read):
    """A4, B6.1, B6.2: the edge to the service that fails turns red, the others stay."""
    with pattern("06").carrier() as carrier:
        service = pattern("06").deploy(cloud.endpoint, carrier.url)
        assert pattern("06").ask(service, "ada")["incomplete"] == []
        carrier.status = 500
        assert pattern("06").ask(service, "ada")["incomplete"] == ["shipping"]
    seen = read("aggregator")
    names = ("Dashboard", "Profile", "Orders", "Shipping")
    assert seen.nodes == {("client", "client"), ("api", "Api"), *(("function", name) for name in names)}
    assert seen.counts == {
        ("client", "sync", "Api"): (2, 0),
        ("Api", "sync", "Dashboard"): (2, 0),
        ("Dashboard", "sync", "Profile"): (2, 0),
        ("Dashboard", "sync", "Orders"): (2, 0),
        ("Dashboard", "sync", "Shipping"): (2, 1),
    }
    assert seen.edges["Dashboard", "sync", "Shipping"]["error"]["code"] == "CarrierUnavailable"


def test_a_refused_request_turns_the_clients_edge_red(pattern, cloud, read):
    """A4: an API's own status is the code of the edge."""
    with pattern("06").carrier() as carrier:
        service = pattern("06").deploy(cloud.endpoint, carrier.url)
    assert service.request("GET", "/nowhere")[0] == 404
    seen = read("aggregator")
    assert seen.counts == {("client", "sync", "Api"): (1, 1)}
    assert seen.edges["client", "sync", "Api"]["error"]["code"] == "404"


def test_who_hears_a_topic_is_on_its_map_though_in_another_stack(pattern, cloud, clock, read):
    """A4, B7.2: deliveries are asynchronous; what is called belongs to the map, what calls it too."""
    notifier = pattern("07").deploy(cloud.endpoint)
    ledger = pattern("07").subscribe(cloud.endpoint, "ledger")
    pattern("07").subscribe(cloud.endpoint, "dunning")
    for invoice, kind in (("i1", "paid"), ("i2", "overdue")):
        pattern("07").publish(notifier, invoice, kind)
    clock.quiet()
    topic = read("notifier")
    assert topic.members == {"Billing"}
    assert {kind for kind, _ in topic.nodes} == {"client", "topic", "function", "queue"}
    assert sorted((edge["kind"], edge["count"]) for edge in topic.found["edges"]) == [
        ("async", 1),
        ("async", 2),
        ("async", 2),
    ]
    assert pattern("07").heard(ledger) == ["i1", "i2"]
    inbox = read("ledger")
    assert {(a, kind, b) for (a, kind, b) in inbox.edges if a == "client"} == {("client", "sync", "Inbox")}
    assert [edge["count"] for (_, kind, b), edge in inbox.edges.items() if (kind, b) == ("async", "Inbox")] == [2]
    dunning = read("dunning")
    assert dunning.counts["Dunning", "sync", "Letters"] == (1, 0)
    assert {label for label in dunning.members} == {"Dunning", "Letters"}


def test_what_was_never_called_stands_alone(pattern, cloud, clock, read):
    """A4, B12.1: a router's one task is called, the others and their queues are there without edges."""
    service = pattern("12").deploy(cloud.endpoint)
    service.invoke("Router", pattern("12").EVENTS[0], "Event")
    clock.quiet()
    seen = read("router")
    tasks = ("Router", "Welcome", "Invoice", "Reminder")
    queues = {("queue", f"{name}Failed") for name in tasks}
    assert seen.nodes == {("client", "client"), ("table", "Done"), *queues, *(("function", name) for name in tasks)}
    assert seen.counts == {
        ("client", "async", "Router"): (1, 0),
        ("Router", "async", "Welcome"): (1, 0),
        ("Welcome", "sync", "Done"): (1, 0),
    }


@pytest.mark.slow
def test_a_stream_carries_changes_and_a_poisoned_one_goes_to_its_queue(pattern, cloud, clock, read):
    """A4, B17.4: a table's stream is an asynchronous edge; a function's own connection to a database is not seen."""
    drive = pattern("17")
    service = drive.deploy(cloud.endpoint, Retries="1")
    drive.rename(service, "ada", "Ada")
    clock.quiet()
    drive.rename(service, "eve", "E" * 100)
    clock.advance(120)
    seen = read(drive.STACK)
    assert {kind for kind, _ in seen.nodes} == {"client", "api", "function", "table", "queue", "database"}
    assert seen.counts == {
        ("client", "sync", "Api"): (2, 0),
        ("Api", "sync", "Service"): (2, 0),
        ("Service", "sync", "Profiles"): (2, 0),
        ("Profiles", "async", "Replicate"): (3, 2),
        ("Replicate", "lost", "Invalid"): (1, 0),
    }
    assert seen.edges["Profiles", "async", "Replicate"]["error"]["code"] == "DatabaseError"


CODE = """
import boto3, json, os
def handler(event, context):
    for record in event["Records"]:
        if "poison" in record["body"]:
            raise RuntimeError("poison")
        boto3.client("s3").put_object(Bucket=os.environ["BUCKET"], Key="k", Body=record["body"])
"""
ROLE = {
    "Type": "AWS::IAM::Role",
    "Properties": {
        "AssumeRolePolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
            ],
        }
    },
}
TEMPLATE = {
    "Resources": {
        "Role": ROLE,
        "Bus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": "orders"}},
        "Rule": {
            "Type": "AWS::Events::Rule",
            "Properties": {
                "EventBusName": {"Ref": "Bus"},
                "EventPattern": {"source": ["shop"]},
                "Targets": [{"Id": "work", "Arn": {"Fn::GetAtt": ["Work", "Arn"]}}],
            },
        },
        "Allowed": {
            "Type": "AWS::SQS::QueuePolicy",
            "Properties": {
                "Queues": [{"Ref": "Work"}],
                "PolicyDocument": {
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "events.amazonaws.com"},
                            "Action": "sqs:SendMessage",
                            "Resource": "*",
                        }
                    ]
                },
            },
        },
        "Work": {
            "Type": "AWS::SQS::Queue",
            "Properties": {
                "VisibilityTimeout": 30,
                "RedrivePolicy": {
                    "deadLetterTargetArn": {"Fn::GetAtt": ["Dead", "Arn"]},
                    "maxReceiveCount": 2,
                },
            },
        },
        "Dead": {"Type": "AWS::SQS::Queue"},
        "Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "kept-orders"}},
        "Worker": {
            "Type": "AWS::Lambda::Function",
            "Properties": {
                "Runtime": "python3.12",
                "Handler": "index.handler",
                "Timeout": 20,
                "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                "Environment": {"Variables": {"BUCKET": "kept-orders"}},
                "Code": {"ZipFile": CODE},
            },
        },
        "Mapping": {
            "Type": "AWS::Lambda::EventSourceMapping",
            "Properties": {
                "EventSourceArn": {"Fn::GetAtt": ["Work", "Arn"]},
                "FunctionName": {"Ref": "Worker"},
                "BatchSize": 1,
            },
        },
    }
}


@pytest.fixture
def orders(aws, clock):
    """A bus, a rule, a queue with dead letters, a worker and a bucket."""
    aws("cloudformation").create_stack(
        StackName="orders", TemplateBody=json.dumps(TEMPLATE), Capabilities=["CAPABILITY_IAM"]
    )
    clock.advance(60)
    (stack,) = aws("cloudformation").describe_stacks(StackName="orders")["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE", stack

    def put(text):
        entry = {
            "EventBusName": "orders",
            "Source": "shop",
            "DetailType": "order",
            "Detail": json.dumps({"text": text}),
        }
        assert aws("events").put_events(Entries=[entry])["FailedEntryCount"] == 0
        clock.quiet()

    return put


def test_an_event_goes_over_bus_rule_and_queue_to_a_function_and_a_bucket(orders, read):
    """A4: bus and rule are nodes; every hand-over is asynchronous, the function's own call is not."""
    orders("fine")
    seen = read("orders")
    assert seen.counts == {
        ("client", "async", "Bus"): (1, 0),
        ("Bus", "async", "Rule"): (1, 0),
        ("Rule", "async", "Work"): (1, 0),
        ("Work", "async", "Worker"): (1, 0),
        ("Worker", "sync", _bucket(seen)): (1, 0),
    }


def _bucket(seen):
    """The bucket's label: its logical id, or its name where templates know no buckets."""
    return next(label for kind, label in seen.nodes if kind == "bucket")


def test_a_poisoned_message_is_red_from_the_queue_to_its_dead_letters(orders, clock, read):
    """A4: the failing edge has the errors of both attempts; the dead letter leaves the queue, not the function."""
    orders("poison")
    clock.advance(120)
    counts = read("orders").counts
    assert counts["Work", "async", "Worker"] == (2, 2)
    assert counts["Work", "lost", "Dead"] == (1, 0)
    assert ("Worker", "lost", "Dead") not in counts


def test_the_rate_is_of_the_last_minute_of_the_clouds_clock(orders, clock, read):
    """A4: virtual time decays it; the count stays."""
    orders("one")
    orders("two")
    edge = read("orders").edges["Rule", "async", "Work"]
    assert (edge["count"], edge["last_minute"]) == (2, 2)
    clock.advance(30)
    orders("three")
    assert read("orders").edges["Rule", "async", "Work"]["last_minute"] == 3
    clock.advance(31)
    assert read("orders").edges["Rule", "async", "Work"]["last_minute"] == 1
    clock.advance(60)
    edge = read("orders").edges["Rule", "async", "Work"]
    assert (edge["count"], edge["last_minute"]) == (3, 0)


def test_a_reset_empties_the_map(orders, cloud, read):
    """A4: what was seen is in memory, and of this cloud alone."""
    orders("fine")
    assert read().edges
    cloud.reset()
    assert read().counts == {} and read().nodes == set()


def test_counting_can_begin_anew(orders, cloud, read):
    orders("fine")
    assert read("orders").edges
    ask = urllib.request.Request(f"{cloud.endpoint}/_cumulet/map", b'{"forget": true}')
    with urllib.request.urlopen(ask, timeout=60) as answer:
        assert json.load(answer) == {"status": "empty"}
    assert read("orders").counts == {}
    orders("again")
    assert read("orders").counts["Rule", "async", "Work"] == (1, 0)
    assert read("orders").found["missed"] == 0


def test_a_map_of_no_stack_is_refused(read):
    with pytest.raises(urllib.error.HTTPError) as refused:
        read("nothing")
    assert refused.value.code == 400
    assert json.load(refused.value) == {"message": "Stack with id nothing does not exist"}


def test_another_region_has_other_stacks(orders, read):
    with pytest.raises(urllib.error.HTTPError):
        read("orders", region="eu-west-1")


@pytest.fixture
def function(aws):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.py", "def handler(event, context):\n    return 1\n")
    aws("lambda").create_function(
        FunctionName="one", Runtime="python3.12", Handler="index.handler", Role="arn:aws:iam::000000000000:role/r",
        Code={"ZipFile": packed.getvalue()},
    )  # fmt: skip
    return "one"


def test_an_invocation_is_one_call_whether_it_runs_or_is_refused(aws, function, read):
    """A4: a throttled request is an error of its edge; one that runs is counted where it runs, once."""
    client = aws("lambda")
    client.invoke(FunctionName=function)
    client.invoke(FunctionName=f"{function}:$LATEST")
    assert read().counts == {("client", "sync", "one"): (2, 0)}
    client.put_function_concurrency(FunctionName=function, ReservedConcurrentExecutions=0)
    with pytest.raises(client.exceptions.TooManyRequestsException):
        client.invoke(FunctionName=function)
    seen = read()
    assert seen.counts == {("client", "sync", "one"): (3, 1)}
    assert seen.edges["client", "sync", "one"]["error"]["code"] == "TooManyRequestsException"


def test_names_urls_and_arns_of_a_resource_are_one_node(aws, read):
    sqs, dynamodb = aws("sqs"), aws("dynamodb")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="a")
    sqs.receive_message(QueueUrl=url)
    for name in ("tab", "tub"):
        dynamodb.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        )
    arn = dynamodb.describe_table(TableName="tab")["Table"]["TableArn"]
    item = {"id": {"S": "a"}}
    dynamodb.put_item(TableName=arn, Item=item)
    dynamodb.get_item(TableName="tab", Key=item)
    dynamodb.execute_statement(Statement='SELECT * FROM "tab"')
    dynamodb.batch_write_item(RequestItems={name: [{"PutRequest": {"Item": item}}] for name in ("tab", "tub")})
    dynamodb.transact_write_items(TransactItems=[{"Put": {"TableName": "tub", "Item": item}}])
    seen = read()
    assert seen.nodes == {("client", "client"), ("queue", "q"), ("table", "tab"), ("table", "tub")}
    assert seen.counts == {
        ("client", "async", "q"): (1, 0),
        ("client", "sync", "q"): (1, 0),
        ("client", "sync", "tab"): (4, 0),
        ("client", "sync", "tub"): (2, 0),
    }


def test_a_buckets_notice_is_an_edge_from_the_bucket(aws, clock, read):
    """A4: the upload is synchronous, what it sets off is not; the test message of the configuration is no call."""
    sqs, s3 = aws("sqs"), aws("s3")
    url = sqs.create_queue(QueueName="notices")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allowed = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sqs:*", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    s3.create_bucket(Bucket="uploads")
    configuration = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
    s3.put_bucket_notification_configuration(Bucket="uploads", NotificationConfiguration=configuration)
    s3.put_object(Bucket="uploads", Key="a", Body=b"a")
    clock.quiet()
    assert read().counts == {("client", "sync", "uploads"): (1, 0), ("uploads", "async", "notices"): (1, 0)}


def test_a_queue_shows_how_much_it_holds(cloud, aws, clock, read):
    """What waits, is in flight and is delayed is on the map, a queue that is asked from outside the stack too."""

    def look():
        (deep,) = [node for node in read().found["nodes"] if node["name"] == "deep"]
        with urllib.request.urlopen(f"{cloud.endpoint}/_cumulet/map.svg", timeout=60) as answer:
            return deep, answer.read().decode()

    read()  # it counts from when it is first looked at
    sqs = aws("sqs")
    url = sqs.create_queue(QueueName="deep")["QueueUrl"]
    sqs.create_queue(QueueName="other")
    for delay in (0, 0, 0, 60):
        sqs.send_message(QueueUrl=url, MessageBody="x", DelaySeconds=delay)
    sqs.receive_message(QueueUrl=url)
    deep, picture = look()
    assert deep["messages"] == {"waiting": 2, "in_flight": 1, "delayed": 1}
    assert "queue: 2 waiting, 1 in fli" in picture
    sqs.purge_queue(QueueUrl=url)
    clock.advance(60)
    deep, picture = look()
    assert deep["messages"] == {"waiting": 0, "in_flight": 0, "delayed": 0}
    assert "waiting" not in picture
    sqs.delete_queue(QueueUrl=url)
    clock.advance(60)
    assert "messages" not in look()[0]
