"""Lambda: a queue as event source, with real functions over the real socket."""

import base64
import hashlib
import io
import json
import threading
import zipfile

import pytest

from cumulet.kernel.pipeline import Call

ROLE = "arn:aws:iam::000000000000:role/functions"
ECHO = "import json\ndef handler(event, context):\n    print('got ' + json.dumps(event))\n"
BODIES = (
    "import json\ndef handler(event, context):\n    print('got ' + json.dumps([r['body'] for r in event['Records']]))\n"
)
POISON = (
    "import json\ndef handler(event, context):\n    print('got ' + json.dumps([r['body'] for r in event['Records']]))\n"
    "    if any(r['body'].startswith('bad') for r in event['Records']):\n        raise ValueError('bad')\n"
)
PARTIAL = (
    "import json\ndef handler(event, context):\n    print('got ' + json.dumps([r['body'] for r in event['Records']]))\n"
    "    return {'batchItemFailures': [{'itemIdentifier': r['messageId']} for r in event['Records']\n"
    "                                  if r['body'].startswith('bad')]}\n"
)


def packed(code):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr(zipfile.ZipInfo("index.py"), code)
    return sink.getvalue()


class Bench:
    """Queues, a function, and what it got."""

    def __init__(self, aws, clock, cloud):
        self.sqs, self.client, self.logs = aws("sqs"), aws("lambda"), aws("logs")
        self.clock, self.cloud = clock, cloud

    def queue(self, name="q", **attributes):
        if name.endswith(".fifo"):
            attributes |= {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
        return self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]

    def arn(self, url):
        return self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def with_dead_letters(self, receives, name="q", **attributes):
        dead = self.queue("dead" + (".fifo" if name.endswith(".fifo") else ""))
        redrive = json.dumps({"deadLetterTargetArn": self.arn(dead), "maxReceiveCount": receives})
        return self.queue(name, RedrivePolicy=redrive, **attributes), dead

    def function(self, code, name="f", **settings):
        self.client.create_function(
            FunctionName=name, Runtime="python3.12", Role=ROLE, Handler="index.handler", Code={"ZipFile": packed(code)},
            **{"Timeout": 20, **settings},
        )  # fmt: skip

    def map(self, url, name="f", **settings):
        made = self.client.create_event_source_mapping(EventSourceArn=self.arn(url), FunctionName=name, **settings)
        self.clock.advance(1)
        return made["UUID"]

    def send(self, url, *bodies, group=None):
        for start in range(0, len(bodies), 10):
            entries = [
                {"Id": str(n), "MessageBody": body, **({"MessageGroupId": group} if group else {})}
                for n, body in enumerate(bodies[start : start + 10])
            ]
            answer = self.sqs.send_message_batch(QueueUrl=url, Entries=entries)
            assert not answer.get("Failed")

    def pour(self, url, count):
        """Send so many messages without a client, which takes far longer than the server."""
        pipeline = self.cloud.cloud.pipeline

        async def work():
            for number in range(count // 10):
                entries = [{"Id": str(n), "MessageBody": "m"} for n in range(10)]
                request = {"QueueUrl": url, "Entries": entries}
                call = Call("sqs", "SendMessageBatch", request, "000000000000", "us-east-1", f"pour-{number}")
                assert not (await pipeline.call(call)).get("Failed")

        self.cloud.run(work())

    def lines(self, name="f"):
        try:
            pages = self.logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{name}")
            return [event["message"] for page in pages for event in page["events"]]
        except self.logs.exceptions.ResourceNotFoundException:
            return []

    def got(self, name="f"):
        """What each invocation printed, by the time at which it did, which goes on within an invocation alone."""
        self.clock.quiet()
        return [json.loads(line[4:]) for line in self.lines(name) if line.startswith("got ")]

    def counts(self, url):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return tuple(int(found[name]) for name in names)

    def result(self, uuid):
        return self.client.get_event_source_mapping(UUID=uuid)["LastProcessingResult"]


@pytest.fixture
def bench(aws, clock, cloud):
    return Bench(aws, clock, cloud)


def test_the_function_gets_the_event_as_aws_makes_it(bench):
    """A3: what is acknowledged by the queue reaches the function."""
    url = bench.queue()
    bench.function(ECHO)
    bench.map(url)
    sent = bench.sqs.send_message(
        QueueUrl=url, MessageBody="hello",
        MessageAttributes={
            "text": {"DataType": "String", "StringValue": "ü"},
            "number": {"DataType": "Number.int", "StringValue": "7"},
            "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
        },
        MessageSystemAttributes={"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5f84c7a2-0000000000000000000000aa"}},
    )  # fmt: skip
    [event] = bench.got()
    [record] = event["Records"]
    handle, attributes = record.pop("receiptHandle"), record.pop("attributes")
    now = round(bench.clock.now() * 1000)
    assert handle
    assert record == {
        "messageId": sent["MessageId"],
        "body": "hello",
        "md5OfBody": hashlib.md5(b"hello").hexdigest(),
        "md5OfMessageAttributes": sent["MD5OfMessageAttributes"],
        "messageAttributes": {
            "text": {"stringValue": "ü", "stringListValues": [], "binaryListValues": [], "dataType": "String"},
            "number": {"stringValue": "7", "stringListValues": [], "binaryListValues": [], "dataType": "Number.int"},
            "bytes": {
                "binaryValue": base64.b64encode(b"\x00\xff").decode(),
                "stringListValues": [],
                "binaryListValues": [],
                "dataType": "Binary",
            },
        },
        "eventSource": "aws:sqs",
        "eventSourceARN": bench.arn(url),
        "awsRegion": "us-east-1",
    }
    assert attributes["ApproximateReceiveCount"] == "1"
    assert attributes["AWSTraceHeader"] == "Root=1-5f84c7a2-0000000000000000000000aa"
    assert attributes["SenderId"]
    assert abs(int(attributes["SentTimestamp"]) - now) < 2000
    assert abs(int(attributes["ApproximateFirstReceiveTimestamp"]) - now) < 2000
    assert bench.counts(url) == (0, 0)


def test_messages_come_in_batches_and_are_deleted_after_a_success(bench):
    url = bench.queue()
    bench.function(BODIES)
    uuid = bench.map(url, BatchSize=4, Enabled=False)
    bench.send(url, *(f"m{n}" for n in range(10)))
    bench.client.update_event_source_mapping(UUID=uuid, Enabled=True)
    bench.clock.advance(1)
    got = bench.got()
    assert sorted(body for batch in got for body in batch) == sorted(f"m{n}" for n in range(10))
    assert sorted(len(batch) for batch in got) == [2, 4, 4]
    assert bench.counts(url) == (0, 0)
    assert bench.result(uuid) == "OK"


def test_several_producers_feed_one_throttled_function(bench):
    """B14.1, B2.1: three producers, one function at a time, nothing lost."""
    url = bench.queue()
    bench.function(BODIES)
    bench.client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)
    bench.map(url)
    producers = [
        threading.Thread(target=bench.send, args=(url, *(f"{name}{n}" for n in range(50)))) for name in ("a", "b", "c")
    ]
    for producer in producers:
        producer.start()
    for producer in producers:
        producer.join()
    got = [body for batch in bench.got() for body in batch]
    assert sorted(got) == sorted(f"{name}{n}" for name in ("a", "b", "c") for n in range(50))


def test_a_bad_message_ends_in_the_dead_letter_queue_and_good_ones_do_not(bench):
    """B2.4, B14.2: poison lands there after maxReceiveCount receives, intact."""
    url, dead = bench.with_dead_letters(3)
    bench.function(POISON)
    uuid = bench.map(url, BatchSize=1)
    bench.send(url, "good 1", "bad 1", "good 2")
    bench.clock.quiet()
    assert bench.result(uuid) in ("OK", "PROBLEM: Function call failed")
    for _ in range(3):
        bench.clock.advance(31)
    assert sorted(body for [body] in bench.got()) == ["bad 1", "bad 1", "bad 1", "good 1", "good 2"]
    assert (bench.counts(url), bench.counts(dead)) == ((0, 0), (1, 0))
    [message] = bench.sqs.receive_message(QueueUrl=dead)["Messages"]
    assert message["Body"] == "bad 1"


def test_a_failed_batch_is_tried_again_as_a_whole_after_the_visibility_timeout(bench):
    url = bench.queue(VisibilityTimeout="60")
    bench.function(POISON)
    uuid = bench.map(url)
    bench.send(url, "good", "bad")
    assert [sorted(batch) for batch in bench.got()] == [["bad", "good"]]
    assert bench.counts(url) == (0, 2)
    assert bench.result(uuid) == "PROBLEM: Function call failed"
    bench.clock.advance(58)
    assert len(bench.got()) == 1
    bench.clock.advance(3)
    assert [sorted(batch) for batch in bench.got()] == [["bad", "good"], ["bad", "good"]]


def test_with_partial_responses_only_what_failed_comes_back(bench):
    url = bench.queue()
    bench.function(PARTIAL)
    uuid = bench.map(url, FunctionResponseTypes=["ReportBatchItemFailures"])
    bench.send(url, "good", "bad", "fine")
    assert [sorted(batch) for batch in bench.got()] == [["bad", "fine", "good"]]
    assert bench.result(uuid) == "OK"
    assert bench.counts(url) == (0, 1)
    bench.clock.advance(31)
    assert [sorted(batch) for batch in bench.got()] == [["bad", "fine", "good"], ["bad"]]


def test_without_the_setting_a_partial_response_means_nothing(bench):
    url = bench.queue()
    bench.function(PARTIAL)
    bench.map(url)
    bench.send(url, "good", "bad")
    bench.clock.quiet()
    assert bench.counts(url) == (0, 0)


def test_a_function_that_is_killed_by_its_timeout_has_failed(bench):
    url = bench.queue()
    bench.function("import threading\ndef handler(event, context):\n    threading.Event().wait()\n", Timeout=1)
    bench.map(url)
    bench.send(url, "slow")
    bench.clock.quiet()
    assert bench.counts(url) == (0, 1)
    assert any("Status: timeout" in line for line in bench.lines())


def test_what_the_filters_do_not_want_is_deleted_and_runs_nothing(bench):
    url = bench.queue()
    bench.function(BODIES)
    pattern = json.dumps({"body": {"kind": ["order"], "amount": [{"numeric": [">", 10]}]}})
    bench.map(url, FilterCriteria={"Filters": [{"Pattern": pattern}, {"Pattern": '{"body": ["plain"]}'}]})
    wanted = ['{"kind": "order", "amount": 11}', "plain"]
    others = ['{"kind": "order", "amount": 10}', '{"kind": "x"}', "other", '"plain"', "{broken", "[]"]
    bench.send(url, *wanted, *others)
    assert sorted(body for batch in bench.got() for body in batch) == sorted(wanted)
    assert bench.counts(url) == (0, 0)


def test_a_filter_for_json_wants_no_plain_text_and_the_other_way_round(bench):
    patterns = ['{"body": {"absent": [{"exists": false}]}}', '{"body": [{"anything-but": "x"}]}']
    for number, pattern in enumerate(patterns):
        bench.function(BODIES, f"f{number}")
        each = bench.queue(f"q{number}")
        bench.map(each, f"f{number}", FilterCriteria={"Filters": [{"Pattern": pattern}]})
        bench.send(each, "plain", '{"a": 1}')
    assert (bench.got("f0"), bench.got("f1")) == ([['{"a": 1}']], [["plain"]])


def test_a_backlog_of_unwanted_messages_is_deleted(bench):
    url = bench.queue()
    bench.function(BODIES)
    uuid = bench.map(url, FilterCriteria={"Filters": [{"Pattern": '{"body": ["yes"]}'}]}, Enabled=False, BatchSize=1)
    bench.send(url, *(["no"] * 60), "yes")
    bench.client.update_event_source_mapping(UUID=uuid, Enabled=True)
    bench.clock.advance(1)
    assert bench.got() == [["yes"]]
    assert bench.counts(url) == (0, 0)


def test_filters_see_attributes_too(bench):
    url = bench.queue()
    bench.function(BODIES)
    pattern = json.dumps({"messageAttributes": {"kind": {"stringValue": ["a"]}}})
    bench.map(url, FilterCriteria={"Filters": [{"Pattern": pattern}]})
    for kind in ("a", "b"):
        attributes = {"kind": {"DataType": "String", "StringValue": kind}}
        bench.sqs.send_message(QueueUrl=url, MessageBody=kind, MessageAttributes=attributes)
    assert bench.got() == [["a"]]


def test_a_window_gathers_a_larger_batch(bench):
    url = bench.queue()
    bench.function(BODIES)
    bench.map(url, BatchSize=100, MaximumBatchingWindowInSeconds=60)
    bench.send(url, "a")
    bench.clock.advance(30)
    bench.send(url, "b")
    bench.clock.advance(29)
    assert bench.got() == []
    bench.clock.advance(2)
    assert [sorted(batch) for batch in bench.got()] == [["a", "b"]]
    bench.send(url, "c")
    bench.clock.advance(59)
    assert len(bench.got()) == 1
    bench.clock.advance(2)
    assert bench.got()[1:] == [["c"]]


def test_a_full_batch_does_not_wait_for_its_window(bench):
    url = bench.queue()
    bench.function(BODIES)
    bench.map(url, BatchSize=20, MaximumBatchingWindowInSeconds=300)
    bench.send(url, *(f"m{n}" for n in range(19)))
    assert bench.got() == []
    bench.send(url, "m19")
    assert [len(batch) for batch in bench.got()] == [20]


def test_ten_thousand_small_messages_are_one_batch(bench):
    url = bench.queue()
    bench.function("def handler(event, context):\n    print('got', len(event['Records']))\n")
    uuid = bench.map(url, BatchSize=10_000, MaximumBatchingWindowInSeconds=300, Enabled=False)
    bench.pour(url, 10_000)
    bench.client.update_event_source_mapping(UUID=uuid, Enabled=True)
    bench.clock.advance(1)
    assert [line.strip() for line in bench.lines() if line.startswith("got")] == ["got 10000"]
    assert bench.counts(url) == (0, 0)


@pytest.mark.parametrize("name", ["q", "q.fifo"])
def test_a_payload_of_six_megabytes_splits_a_batch(bench, name):
    url = bench.queue(name)
    bench.function(
        "def handler(event, context):\n    print('got', *[r['body'][0] for r in event['Records']],"
        " *[r['attributes']['ApproximateReceiveCount'] for r in event['Records']])\n"
    )
    uuid = bench.map(url, Enabled=False)
    for number in range(5):  # twice as long in JSON
        group = {"MessageGroupId": "g"} if name.endswith(".fifo") else {}
        bench.sqs.send_message(QueueUrl=url, MessageBody=str(number) + '"' * 1_000_000, **group)
    bench.client.update_event_source_mapping(UUID=uuid, Enabled=True)
    bench.clock.advance(1)
    got = sorted(line.split()[1:] for line in bench.lines() if line.startswith("got"))
    assert got == [["0", "1", "2", "1", "1", "1"], ["3", "4", "1", "1"]]
    assert bench.counts(url) == (0, 0)


def test_a_disabled_mapping_reads_nothing_and_goes_on_when_it_is_enabled(bench):
    url = bench.queue()
    bench.function(BODIES)
    uuid = bench.map(url)
    bench.client.update_event_source_mapping(UUID=uuid, Enabled=False)
    bench.clock.advance(1)
    bench.send(url, "later")
    bench.clock.advance(100)
    assert bench.got() == []
    bench.client.update_event_source_mapping(UUID=uuid, Enabled=True)
    bench.clock.advance(1)
    assert bench.got() == [["later"]]


def test_a_deleted_mapping_reads_nothing(bench):
    url = bench.queue()
    bench.function(BODIES)
    uuid = bench.map(url)
    bench.client.delete_event_source_mapping(UUID=uuid)
    bench.clock.advance(1)
    bench.send(url, "nobody")
    assert bench.got() == []
    assert bench.counts(url) == (1, 0)


def test_an_update_gives_the_messages_to_another_function(bench):
    url = bench.queue()
    bench.function(BODIES)
    bench.function(BODIES, "g")
    uuid = bench.map(url)
    bench.send(url, "first")
    assert bench.got() == [["first"]]
    bench.client.update_event_source_mapping(UUID=uuid, FunctionName="g", BatchSize=1)
    bench.clock.advance(1)
    bench.send(url, "second", "third")
    assert sorted(bench.got("g")) == [["second"], ["third"]]
    assert len(bench.got()) == 1


def test_an_alias_is_followed(bench):
    url = bench.queue()
    bench.function("def handler(event, context):\n    print('got', '\"' + context.function_version + '\"')\n")
    version = bench.client.publish_version(FunctionName="f")["Version"]
    bench.client.create_alias(FunctionName="f", Name="live", FunctionVersion=version)
    bench.map(url, "f:live")
    bench.send(url, "x")
    assert bench.got() == ["1"]


def test_a_function_that_comes_back_gets_what_waited(bench):
    url = bench.queue()
    bench.function(BODIES)
    bench.map(url)
    bench.client.delete_function(FunctionName="f")
    bench.send(url, "kept")
    bench.clock.advance(5)
    assert bench.counts(url) == (1, 0)
    bench.function(BODIES)
    assert bench.got() == [["kept"]]


def test_a_queue_that_is_gone_disturbs_nobody_and_is_read_again_when_it_is_back(bench):
    url = bench.queue()
    bench.function(BODIES)
    bench.map(url)
    bench.sqs.delete_queue(QueueUrl=url)
    bench.clock.advance(61)
    bench.queue()
    bench.clock.advance(61)
    bench.send(url, "back")
    assert bench.got() == [["back"]]


def test_a_delayed_message_comes_when_it_is_due(bench):
    url = bench.queue()
    bench.function(BODIES)
    bench.map(url)
    bench.sqs.send_message(QueueUrl=url, MessageBody="late", DelaySeconds=60)
    bench.clock.advance(59)
    assert bench.got() == []
    bench.clock.advance(2)
    assert bench.got() == [["late"]]


def test_a_message_that_somebody_else_received_and_left_comes_when_it_is_visible_again(bench):
    url = bench.queue(VisibilityTimeout="40")
    bench.function(BODIES)
    uuid = bench.map(url, Enabled=False)
    bench.send(url, "left")
    assert bench.sqs.receive_message(QueueUrl=url)["Messages"]
    bench.client.update_event_source_mapping(UUID=uuid, Enabled=True)
    bench.clock.advance(38)
    assert bench.got() == []
    bench.clock.advance(3)
    assert bench.got() == [["left"]]


def test_a_purged_queue_is_still_read(bench):
    url = bench.queue()
    bench.function(BODIES)
    uuid = bench.map(url, Enabled=False)
    bench.send(url, "gone")
    bench.client.update_event_source_mapping(UUID=uuid, Enabled=True, BatchSize=10)
    bench.sqs.purge_queue(QueueUrl=url)
    bench.clock.advance(1)
    bench.send(url, "new")
    assert bench.got() == [["new"]]


def test_a_throttled_function_never_makes_a_healthy_message_a_dead_letter(bench):
    """B2.5, B2.1, B14.2: a burst of 1,000, reserved concurrency 1, maxReceiveCount 3: the dead-letter queue stays empty."""
    url, dead = bench.with_dead_letters(3)
    bench.function(
        "import json\ndef handler(event, context):\n"
        "    print('got ' + json.dumps([[r['body'], r['attributes']['ApproximateReceiveCount']] for r in event['Records']]))\n"
    )
    bench.client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)
    bench.map(url)
    bench.send(url, *(f"m{n}" for n in range(1000)))
    got = [pair for batch in bench.got() for pair in batch]
    assert sorted(body for body, _ in got) == sorted(f"m{n}" for n in range(1000))
    assert {count for _, count in got} == {"1"}
    assert (bench.counts(url), bench.counts(dead)) == ((0, 0), (0, 0))


def test_a_burst_of_ten_thousand_waits_and_is_worked_off(bench, aws):
    """B2.3: none is lost; the backlog's metric rises and comes back to nothing."""
    url, dead = bench.with_dead_letters(3)
    bench.function("def handler(event, context):\n    print('got', len(event['Records']))\n")
    bench.client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    bench.map(url)
    began = bench.clock.now()
    bench.pour(url, 10_000)
    bench.clock.advance(60)
    bench.client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)
    bench.clock.advance(120)
    assert sum(int(line.split()[1]) for line in bench.lines() if line.startswith("got")) == 10_000
    assert (bench.counts(url), bench.counts(dead)) == ((0, 0), (0, 0))
    points = aws("cloudwatch").get_metric_statistics(
        Namespace="AWS/SQS", MetricName="ApproximateNumberOfMessagesVisible", Dimensions=[{"Name": "QueueName", "Value": "q"}],
        StartTime=began - 60, EndTime=began + 300, Period=60, Statistics=["Maximum"],
    )["Datapoints"]  # fmt: skip
    backlog = [point["Maximum"] for point in sorted(points, key=lambda point: point["Timestamp"])]
    assert (max(backlog), backlog[-1]) == (10_000, 0)


def test_a_message_reaches_the_function_of_an_idle_queue_at_once(bench):
    """B2.2: the work is done before the clock moves: no poller's schedule is waited for."""
    url = bench.queue()
    bench.function(BODIES)
    bench.map(url)
    began = bench.clock.now()
    for number in range(21):
        bench.send(url, str(number))
        bench.clock.quiet()
        assert [str(number)] in bench.got()
    assert bench.clock.now() == began


def test_a_function_without_concurrency_leaves_its_messages_alone(bench):
    url, dead = bench.with_dead_letters(1)
    bench.function(BODIES)
    bench.client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    bench.map(url)
    bench.send(url, "waits")
    bench.clock.advance(600)
    assert (bench.got(), bench.counts(url), bench.counts(dead)) == ([], (1, 0), (0, 0))
    bench.client.delete_function_concurrency(FunctionName="f")
    assert bench.got() == [["waits"]]


def test_a_fifo_queue_keeps_the_order_within_each_group(bench):
    """B8.8: order per group; groups are independent."""
    url = bench.queue("q.fifo")
    bench.function(
        "import json\ndef handler(event, context):\n"
        "    print('got ' + json.dumps([[r['attributes']['MessageGroupId'], r['body']] for r in event['Records']]))\n"
    )
    uuid = bench.map(url, BatchSize=3, Enabled=False)
    for number in range(8):
        for group in ("a", "b", "c"):
            bench.send(url, f"{group}{number}", group=group)
    bench.client.update_event_source_mapping(UUID=uuid, Enabled=True)
    bench.clock.advance(1)
    got = [pair for batch in bench.got() for pair in batch]
    for group in ("a", "b", "c"):
        assert sorted(body for name, body in got if name == group) == [f"{group}{n}" for n in range(8)]
    for batch in bench.got():
        for group in ("a", "b", "c"):
            assert [b for g, b in batch if g == group] == sorted(b for g, b in batch if g == group)


def test_a_failed_fifo_message_blocks_its_group_until_it_is_a_dead_letter(bench):
    """B8.7, B8.8: the group goes on after the poison is in the FIFO dead-letter queue, whence it can be replayed."""
    url, dead = bench.with_dead_letters(2, "q.fifo")
    bench.function(POISON)
    bench.map(url, BatchSize=1)
    bench.send(url, "bad", "after", group="a")
    bench.send(url, "other", group="b")
    assert sorted(bench.got()) == [["bad"], ["other"]]
    bench.clock.advance(31)
    assert sorted(bench.got()) == [["bad"], ["bad"], ["other"]]
    bench.clock.advance(31)
    assert sorted(bench.got()) == [["after"], ["bad"], ["bad"], ["other"]]
    assert bench.counts(dead) == (1, 0)
    bench.client.update_function_code(FunctionName="f", ZipFile=packed(BODIES))
    bench.sqs.start_message_move_task(SourceArn=bench.arn(dead))
    bench.clock.advance(5)
    assert (bench.got()[-1], bench.counts(dead)) == (["bad"], (0, 0))


def test_a_trace_leads_from_the_sender_to_the_function(bench, cloud):
    url = bench.queue()
    bench.function("import boto3\ndef handler(event, context):\n    boto3.client('sts').get_caller_identity()\n")
    bench.map(url)
    bench.sqs.send_message(QueueUrl=url, MessageBody="x")
    bench.clock.quiet()
    tracer = cloud.cloud.pipeline.tracer
    [sent] = [each for each in tracer.traces(1000) if each["name"] == "sqs.SendMessage"]
    names = [span["name"] for span in tracer.spans(sent["trace_id"])]
    assert {"sqs.SendMessage", "timer lambda.poll", "invoke f", "sts.GetCallerIdentity"} <= set(names)


def test_a_mapping_counts_its_events_where_it_is_asked_to(bench, cloud):
    counted, silent = bench.queue("counted"), bench.queue("silent")
    bench.function(PARTIAL)
    settings = {"FunctionResponseTypes": ["ReportBatchItemFailures"],
                "FilterCriteria": {"Filters": [{"Pattern": '{"body": [{"anything-but": "no"}]}'}]}}  # fmt: skip
    uuid = bench.map(counted, MetricsConfig={"Metrics": ["EventCount"]}, **settings)
    bench.function(PARTIAL, "g")
    bench.map(silent, "g", **settings)
    for url in (counted, silent):
        bench.send(url, "good", "bad", "no")
    bench.clock.quiet()
    found = {}
    for minute in cloud.cloud.pipeline.meter._minutes.values():
        for (_, _, namespace, name, _, dimensions), values in minute.items():
            if namespace == "AWS/Lambda" and dimensions and dimensions[0][0] == "EventSourceMappingUUID":
                assert dimensions == (("EventSourceMappingUUID", uuid),)
                found[name] = sum(value * count for value, count in values.items())
    assert found == {"PolledEventCount": 3, "FilteredOutEventCount": 1, "InvokedEventCount": 2,
                     "FailedInvokeEventCount": 1, "DeletedEventCount": 2}  # fmt: skip
