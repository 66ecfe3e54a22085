"""PutEvents, what targets get, retries and dead-letter queues."""

import asyncio
import datetime
import functools
import json

import pytest
from botocore.exceptions import ClientError

from cumulet.aws.errors import GenericAwsError, NotImplementedOnCumulet
from cumulet.kernel.service import Service
from cumulet.services import events
from cumulet.testing.inprocess import InProcess

BUS_ARN = "arn:aws:events:us-east-1:000000000000:event-bus/"
RULE_ARN = "arn:aws:events:us-east-1:000000000000:rule/"


def in_a_loop(test):
    """Runs a test that is a coroutine."""

    @functools.wraps(test)
    def run(*args, **options):
        asyncio.run(test(*args, **options))

    return run


@pytest.fixture
def client(aws):
    return aws("events")


class Queues:
    """Queues by name, as targets."""

    def __init__(self, sqs):
        self.sqs, self.urls = sqs, {}

    def arn(self, name, **attributes):
        if name not in self.urls:
            self.urls[name] = self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        return f"arn:aws:sqs:us-east-1:000000000000:{name}"

    def messages(self, name="q"):
        found = []
        while True:
            got = self.sqs.receive_message(
                QueueUrl=self.urls[name], MaxNumberOfMessages=10, MessageAttributeNames=["All"], AttributeNames=["All"]
            ).get("Messages", [])
            if not got:
                return found
            found += got

    def bodies(self, name="q"):
        return [json.loads(message["Body"]) for message in self.messages(name)]


@pytest.fixture
def queues(aws):
    return Queues(aws("sqs"))


@pytest.fixture
def to_queue(client, queues):
    """Makes a rule with a pattern whose target is the queue of its name."""

    def make(name="q", pattern=None, bus="default", **settings):
        client.put_rule(Name=name, EventBusName=bus, EventPattern=json.dumps(pattern or {"source": ["app"]}))
        client.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "1", "Arn": queues.arn(name), **settings}])

    return make


def entry(detail=None, source="app", kind="order", **more):
    return {"Source": source, "DetailType": kind, "Detail": json.dumps({} if detail is None else detail), **more}


def put(client, *entries):
    answer = client.put_events(Entries=list(entries))
    assert answer["FailedEntryCount"] == 0, answer
    return [each["EventId"] for each in answer["Entries"]]


def refused(action, **request):
    with pytest.raises(ClientError) as caught:
        action(**request)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


# what is put


def test_an_event_reaches_a_queue_in_awss_form(client, to_queue, queues):
    to_queue()
    at = datetime.datetime(2026, 11, 1, 12, 30, 15, tzinfo=datetime.UTC)
    (number,) = put(client, entry({"a": [1, {"b": None}]}, Time=at, Resources=["arn:x"]))
    assert queues.bodies() == [
        {
            "version": "0", "id": number, "detail-type": "order", "source": "app", "account": "000000000000",
            "time": "2026-11-01T12:30:15Z", "region": "us-east-1", "resources": ["arn:x"], "detail": {"a": [1, {"b": None}]},
        }
    ]  # fmt: skip


def test_numbers_of_a_detail_stay_as_they_were_written(client, to_queue, queues):
    to_queue()
    put(
        client,
        {"Source": "app", "DetailType": "t", "Detail": '{ "a": 1.50, "b": 1e3,\n"c": 123456789012345678901234567890 }'},
    )
    assert queues.messages()[0]["Body"].endswith('"detail":{"a":1.50,"b":1e3,"c":123456789012345678901234567890}}')


def test_each_rule_gets_what_it_wants(client, to_queue, queues):
    to_queue("a", {"source": ["app"], "detail": {"n": [{"numeric": [">", 1]}]}})
    to_queue("b", {"detail-type": [{"prefix": "ord"}]})
    to_queue("c", {"source": [{"anything-but": "app"}]})
    put(client, *(entry({"n": n}) for n in range(4)), entry({"n": 9}, source="other", kind="x"))
    assert sorted(body["detail"]["n"] for body in queues.bodies("a")) == [2, 3]
    assert sorted(body["detail"]["n"] for body in queues.bodies("b")) == [0, 1, 2, 3]
    assert [body["detail"]["n"] for body in queues.bodies("c")] == [9]


def test_a_changed_disabled_or_deleted_rule_holds_at_once(client, to_queue, queues):
    to_queue()
    put(client, entry({"n": 1}))
    client.put_rule(Name="q", EventPattern='{"source": ["other"]}')
    put(client, entry({"n": 2}), entry({"n": 3}, source="other"))
    client.disable_rule(Name="q")
    put(client, entry({"n": 4}, source="other"))
    client.enable_rule(Name="q")
    put(client, entry({"n": 5}, source="other"))
    client.remove_targets(Rule="q", Ids=["1"])
    put(client, entry({"n": 6}, source="other"))
    assert sorted(body["detail"]["n"] for body in queues.bodies()) == [1, 3, 5]


def test_events_go_to_the_bus_they_name(client, to_queue, queues):
    client.create_event_bus(Name="b")
    to_queue("on-default")
    to_queue("on-b", bus="b")
    put(client, entry({"n": 1}), entry({"n": 2}, EventBusName="b"), entry({"n": 3}, EventBusName=f"{BUS_ARN}b"))
    put(client, entry({"n": 4}, EventBusName="nowhere"))  # taken, and gone: as on AWS
    assert [body["detail"]["n"] for body in queues.bodies("on-default")] == [1]
    assert sorted(body["detail"]["n"] for body in queues.bodies("on-b")) == [2, 3]


def test_entries_fail_one_by_one(client, to_queue, queues):
    to_queue()
    bad = [
        ({"DetailType": "t", "Detail": "{}"}, "InvalidArgument", "Parameter Source is not valid. Reason: Source is a required argument."),
        ({"Source": "app", "Detail": "{}"}, "InvalidArgument", "Parameter DetailType is not valid. Reason: DetailType is a required argument."),
        ({"Source": "app", "DetailType": "t"}, "InvalidArgument", "Parameter Detail is not valid. Reason: Detail is a required argument."),
        ({"Source": "app", "DetailType": "t", "Detail": "{"}, "MalformedDetail", "Detail is malformed."),
        ({"Source": "app", "DetailType": "t", "Detail": "[1]"}, "MalformedDetail", "Detail is malformed."),
        ({"Source": "app", "DetailType": "t", "Detail": "{} {}"}, "MalformedDetail", "Detail is malformed."),
        (entry(source="aws.s3"), "NotAuthorizedForSourceException", "Not authorized for the source."),
        (entry(kind="x" * 129), "InvalidArgument", "Parameter DetailType is not valid. Reason: it has more than 128 characters."),
        (entry(EventBusName="arn:aws:events:us-east-1:111122223333:event-bus/default"), "AccessDeniedException",
         "Not authorized to put events on event bus arn:aws:events:us-east-1:111122223333:event-bus/default."),
    ]  # fmt: skip
    answer = client.put_events(Entries=[*(each[0] for each in bad), entry({"good": 1}, kind="x" * 128)])
    assert answer["FailedEntryCount"] == len(bad)
    assert [(each.get("ErrorCode"), each.get("ErrorMessage")) for each in answer["Entries"][:-1]] == [
        each[1:] for each in bad
    ]
    assert set(answer["Entries"][-1]) == {"EventId"}
    assert [body["detail"] for body in queues.bodies()] == [{"good": 1}]


def test_ten_entries_are_taken_at_once_and_no_more(client):
    put(client, *[entry()] * 10)
    assert refused(client.put_events, Entries=[entry()] * 11)[0] == "ValidationException"


def test_a_request_has_less_than_a_mebibyte(client, to_queue, queues):
    to_queue()
    rest = 14 + len("app") + len("order") + len("arn:x") + len('{"x": ""}')
    at = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)

    def sized(size):
        return entry({"x": "y" * (size - rest)}, Time=at, Resources=["arn:x"])

    assert refused(client.put_events, Entries=[sized(1_048_576)]) == (
        "ValidationException", "Total size of the entries in the request is over the limit.",
    )  # fmt: skip
    half = 524_288
    assert refused(client.put_events, Entries=[sized(half), sized(half)])[0] == "ValidationException"
    put(client, sized(half - 1), sized(half))
    assert len(queues.messages()) == 2


@in_a_loop
async def test_endpoints_are_refused_by_name():
    async with InProcess([events.SERVICE]) as cloud:
        with pytest.raises(NotImplementedOnCumulet, match="EndpointId"):
            await cloud.call("events", "PutEvents", {"Entries": [entry()], "EndpointId": "abcde.veo"})


def test_a_deep_detail_is_matched(client, to_queue, queues):
    pattern, detail = {"leaf": ["x"]}, {"leaf": "x"}
    for _ in range(60):
        pattern, detail = {"d": pattern}, {"d": detail}
    to_queue(pattern={"detail": pattern})
    put(client, entry(detail))
    assert len(queues.messages()) == 1


# what targets get

DETAIL = {
    "instance-id": "i-0123456789",
    "state": "RUNNING",
    "n": 7,
    "tags": [{"k": "a"}, {"k": "b"}],
    "text": 'say "hi"',
}
VARIABLES = {
    "instance": "$.detail.instance-id", "state": "$.detail.state", "n": "$.detail.n", "detail": "$.detail",
    "none": "$.detail.nothing", "first": "$.detail.tags[0].k", "all": "$.detail.tags[*].k", "text": "$.detail['text']",
}  # fmt: skip
TEMPLATES = [
    ('"instance <instance> is in <state>"', '"instance i-0123456789 is in RUNNING"'),
    ('"instance \\"<instance>\\""', '"instance \\"i-0123456789\\""'),
    ('{\n  "instance" : <instance>,\n  "state": <state>\n}', '{"instance":"i-0123456789","state":"RUNNING"}'),
    ('{"a": "<state>", "b": [9, <state>, true], "c": <n>}', '{"a":"RUNNING","b":[9,"RUNNING",true],"c":7}'),
    ('{"number": "<n>"}', '{"number":"7"}'),
    ('{"first": <first>, "all": <all>}', '{"first":"a","all":["a","b"]}'),
    ('{"gone": "<none>"}', '{"gone":""}'),
    ('{"text": <text>}', '{"text":"say \\"hi\\""}'),
    ('{"arn": <aws.events.rule-arn>, "rule": "<aws.events.rule-name>"}', f'{{"arn":"{RULE_ARN}q","rule":"q"}}'),
    ('"<unknown> stays"', '"<unknown> stays"'),
    ('"line <n>"\n"and <state>"', '"line 7"\n"and RUNNING"'),
]


@pytest.mark.parametrize(("template", "text"), TEMPLATES)
def test_a_template_is_filled(client, to_queue, queues, template, text):
    to_queue(InputTransformer={"InputPathsMap": VARIABLES, "InputTemplate": template})
    put(client, entry(DETAIL))
    assert [message["Body"] for message in queues.messages()] == [text]


def test_a_template_knows_the_event_and_its_time(client, to_queue, queues, clock):
    template = '{"whole": <aws.events.event.json>, "head": <aws.events.event>, "at": <aws.events.event.ingestion-time>, "d": <detail>}'
    to_queue(InputTransformer={"InputPathsMap": VARIABLES, "InputTemplate": template})
    (number,) = put(client, entry(DETAIL))
    (body,) = queues.bodies()
    assert body["whole"]["detail"] == body["d"] == DETAIL
    assert body["whole"]["id"] == body["head"]["id"] == number
    assert "detail" not in body["head"]
    at = datetime.datetime.fromtimestamp(clock.now(), datetime.UTC)
    assert body["at"] == at.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(
    ("settings", "body"),
    [
        ({"Input": '{"fixed": [1]}'}, {"fixed": [1]}),
        ({"InputPath": "$.detail"}, DETAIL),
        ({"InputPath": "$.detail.state"}, "RUNNING"),
        ({"InputPath": "$.detail.tags[1]"}, {"k": "b"}),
        ({"InputPath": "$.detail.tags[5]"}, None),
    ],
)
def test_a_target_gets_a_constant_or_a_part(client, to_queue, queues, settings, body):
    to_queue(**settings)
    put(client, entry(DETAIL))
    assert queues.bodies() == [body]


def test_the_path_of_everything_is_the_event(client, to_queue, queues):
    to_queue(InputPath="$")
    (number,) = put(client, entry(DETAIL))
    assert queues.bodies()[0]["id"] == number


def test_a_fifo_queue_gets_the_group(client, queues):
    arn = queues.arn("q.fifo", FifoQueue="true", ContentBasedDeduplication="true")
    client.put_rule(Name="r", EventPattern='{"source": ["app"]}')
    client.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": arn, "SqsParameters": {"MessageGroupId": "g"}}])
    put(client, entry())
    (message,) = queues.messages("q.fifo")
    assert message["Attributes"]["MessageGroupId"] == "g"


def test_a_topic_gets_the_event(client, aws, queues):
    sns = aws("sns")
    topic = sns.create_topic(Name="t")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queues.arn("q"), Attributes={"RawMessageDelivery": "true"})
    client.put_rule(Name="r", EventPattern='{"source": ["app"]}')
    client.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": topic}])
    (number,) = put(client, entry())
    assert [body["id"] for body in queues.bodies()] == [number]


def test_a_log_group_gets_a_line_and_a_template_may_shape_it(client, aws):
    logs = aws("logs")
    logs.create_log_group(logGroupName="/aws/events/g")
    arn = "arn:aws:logs:us-east-1:000000000000:log-group:/aws/events/g"
    client.put_rule(Name="r", EventPattern='{"source": ["app"]}')
    shaped = {"InputPathsMap": {"n": "$.detail.n"}, "InputTemplate": '{"message": "n is <n>"}'}
    client.put_targets(
        Rule="r", Targets=[{"Id": "1", "Arn": arn}, {"Id": "2", "Arn": f"{arn}:*", "InputTransformer": shaped}]
    )
    (number,) = put(client, entry({"n": 5}))
    lines = [line["message"] for line in logs.filter_log_events(logGroupName="/aws/events/g")["events"]]
    assert sorted(lines)[0] == "n is 5"
    assert json.loads(sorted(lines)[1])["id"] == number


def test_a_log_group_gets_what_a_template_makes_of_an_event_also_when_it_is_no_json(client, aws):
    logs = aws("logs")
    logs.create_log_group(logGroupName="/aws/events/g")
    client.put_rule(Name="r", EventPattern='{"source": ["app"]}')
    shaped = {"InputPathsMap": {"n": "$.detail.n"}, "InputTemplate": '{"message": "n is <n>"}'}
    arn = "arn:aws:logs:us-east-1:000000000000:log-group:/aws/events/g"
    client.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": arn, "InputTransformer": shaped}])
    put(client, entry({"n": 'a "quoted" word'}))
    lines = [line["message"] for line in logs.filter_log_events(logGroupName="/aws/events/g")["events"]]
    assert lines == ['{"message": "n is a "quoted" word"}']


def test_a_bus_gets_the_event_but_not_a_third_one(client, to_queue, queues, clock, aws):
    for name in ("b", "c"):
        client.create_event_bus(Name=name)
    for source, bus, aim in (("default", "default", "b"), ("b", "b", "c"), ("b", "b", "default")):
        client.put_rule(Name=f"to-{aim}", EventBusName=bus, EventPattern='{"source": ["app"]}')
        dead = {"Arn": queues.arn(f"dead-{source}")}
        client.put_targets(
            Rule=f"to-{aim}",
            EventBusName=bus,
            Targets=[{"Id": "1", "Arn": f"{BUS_ARN}{aim}", "DeadLetterConfig": dead}],
        )
    to_queue("on-b", bus="b")
    to_queue("on-c", bus="c")
    (number,) = put(client, entry({"n": 1}))
    assert [body["id"] for body in queues.bodies("on-b")] == [number]
    assert queues.messages("on-c") == []
    codes = [message["MessageAttributes"]["ERROR_CODE"]["StringValue"] for message in queues.messages("dead-b")]
    assert codes == ["THIRD_ACCOUNT_HOP_DETECTED"] * 2
    assert queues.messages("dead-default") == []


# failures


def test_what_no_retry_helps_goes_to_the_dead_letter_queue_at_once(client, queues):
    dead = {"Arn": queues.arn("dead")}
    client.put_rule(Name="r", EventPattern='{"source": ["app"]}')
    gone = [
        "arn:aws:sqs:us-east-1:000000000000:gone",
        "arn:aws:lambda:us-east-1:000000000000:function:gone",
        "arn:aws:logs:us-east-1:000000000000:log-group:gone",
        f"{BUS_ARN}gone",
    ]
    client.put_targets(
        Rule="r", Targets=[{"Id": str(n), "Arn": arn, "DeadLetterConfig": dead} for n, arn in enumerate(gone)]
    )
    (number,) = put(client, entry({"n": 1}))
    buried = queues.messages("dead")
    assert {json.loads(message["Body"])["id"] for message in buried} == {number}
    attributes = [message["MessageAttributes"] for message in buried]
    assert {each["TARGET_ARN"]["StringValue"] for each in attributes} == set(gone)
    for each in attributes:
        assert set(each) == {"RULE_ARN", "TARGET_ARN", "ERROR_CODE", "ERROR_MESSAGE", "RETRY_ATTEMPTS"}
        assert each["RULE_ARN"]["StringValue"] == f"{RULE_ARN}r"
        assert each["ERROR_CODE"]["StringValue"] == "NO_RESOURCE"
        assert each["RETRY_ATTEMPTS"]["StringValue"] == "0"


def test_the_dead_letter_queue_gets_the_event_and_not_the_input(client, queues):
    client.put_rule(Name="r", EventPattern='{"source": ["app"]}')
    gone = "arn:aws:sqs:us-east-1:000000000000:gone"
    target = {"Id": "1", "Arn": gone, "Input": '"x"', "DeadLetterConfig": {"Arn": queues.arn("dead")}}
    client.put_targets(Rule="r", Targets=[target])
    (number,) = put(client, entry())
    assert [body["id"] for body in queues.bodies("dead")] == [number]


class Busy:
    """A queue that refuses the first messages, and one for the dead."""

    def __init__(self, failures, code="ThrottlingException", status=400):
        self.failures, self.code, self.status = failures, code, status
        self.attempts, self.got, self.dead = [], [], []

    def send(self, ctx, req):
        if req["QueueUrl"].endswith("/dead"):
            self.dead.append(req)
        else:
            self.attempts.append(ctx.now)
            if len(self.attempts) <= self.failures:
                raise GenericAwsError(self.code, "Rate exceeded", self.status)
            self.got.append(req["MessageBody"])
        return {"MessageId": "m", "MD5OfMessageBody": "x"}


async def with_busy_queue(busy, policy, seconds, dead=True):
    """One event for a busy queue, and how long it was tried."""
    async with InProcess([events.SERVICE, Service("sqs", internals={"SendMessage": busy.send})]) as cloud:
        await cloud.call("events", "PutRule", {"Name": "r", "EventPattern": '{"source": ["app"]}'})
        target = {"Id": "1", "Arn": "arn:aws:sqs:us-east-1:000000000000:q", "RetryPolicy": policy}
        if dead:
            target["DeadLetterConfig"] = {"Arn": "arn:aws:sqs:us-east-1:000000000000:dead"}
        await cloud.call("events", "PutTargets", {"Rule": "r", "Targets": [target]})
        begin = cloud.clock.now()
        answer = await cloud.call("events", "PutEvents", {"Entries": [entry()]})
        assert answer["FailedEntryCount"] == 0
        await cloud.advance(seconds)
        rows = list(cloud.store.begin(None).scan_keys(("events", "delivery")))
        return [round(at - begin) for at in busy.attempts], rows


@in_a_loop
async def test_a_busy_target_is_tried_again_after_growing_pauses():
    busy = Busy(failures=4)
    times, rows = await with_busy_queue(busy, {}, 3600)
    assert times == [0, 2, 6, 14, 30]
    assert len(busy.got) == 1 and not busy.dead and not rows


@in_a_loop
async def test_after_its_retries_an_event_goes_to_the_dead_letter_queue():
    busy = Busy(failures=100, code="ServiceUnavailable", status=503)
    times, rows = await with_busy_queue(busy, {"MaximumRetryAttempts": 3}, 3600)
    assert times == [0, 2, 6, 14]
    assert not busy.got and not rows
    (dead,) = busy.dead
    values = {name: value["StringValue"] for name, value in dead["MessageAttributes"].items()}
    assert values == {
        "RULE_ARN": f"{RULE_ARN}r", "TARGET_ARN": "arn:aws:sqs:us-east-1:000000000000:q", "ERROR_CODE": "INTERNAL_ERROR",
        "ERROR_MESSAGE": "Rate exceeded", "RETRY_ATTEMPTS": "3", "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts",
    }  # fmt: skip


@in_a_loop
async def test_an_event_that_is_too_old_goes_to_the_dead_letter_queue():
    busy = Busy(failures=100)
    times, _ = await with_busy_queue(busy, {"MaximumEventAgeInSeconds": 60}, 3600)
    assert times == [0, 2, 6, 14, 30]  # the next would be at 62
    values = {name: value["StringValue"] for name, value in busy.dead[0]["MessageAttributes"].items()}
    assert (values["ERROR_CODE"], values["EXHAUSTED_RETRY_CONDITION"]) == ("THROTTLING", "MaximumEventAgeInSeconds")


@in_a_loop
async def test_by_default_an_event_is_tried_for_a_day_and_185_times_at_most():
    busy = Busy(failures=1000)
    times, rows = await with_busy_queue(busy, {}, 2 * 86_400)
    assert len(times) == 186
    assert 85_000 < times[-1] < 86_400
    assert len(busy.dead) == 1 and not rows


@in_a_loop
async def test_no_retries_means_one_attempt():
    busy = Busy(failures=1)
    times, _ = await with_busy_queue(busy, {"MaximumRetryAttempts": 0}, 3600)
    assert times == [0] and len(busy.dead) == 1


@in_a_loop
async def test_without_a_dead_letter_queue_a_failed_event_is_dropped():
    busy = Busy(failures=100)
    times, rows = await with_busy_queue(busy, {"MaximumRetryAttempts": 1}, 3600, dead=False)
    assert times == [0, 2] and not rows


@pytest.mark.parametrize(
    ("code", "status", "shown"),
    [
        ("AccessDeniedException", 400, "NO_PERMISSIONS"),
        ("AccessDenied", 403, "NO_PERMISSIONS"),
        ("ResourceNotFoundException", 404, "NO_RESOURCE"),
        ("InvalidParameterValue", 400, "INVALID_PARAMETER"),
        ("NotImplemented", 501, "INVALID_PARAMETER"),
    ],
)
@in_a_loop
async def test_an_error_that_lasts_is_not_tried_again(code, status, shown):
    busy = Busy(failures=100, code=code, status=status)
    times, _ = await with_busy_queue(busy, {}, 3600)
    assert times == [0]
    values = busy.dead[0]["MessageAttributes"]
    assert values["ERROR_CODE"]["StringValue"] == shown
    assert "EXHAUSTED_RETRY_CONDITION" not in values


# other accounts, services' events


@in_a_loop
async def test_another_account_needs_a_buss_permission():
    got = []

    def send(ctx, req):
        got.append((ctx.account, json.loads(req["MessageBody"])["account"]))
        return {}

    async with InProcess([events.SERVICE, Service("sqs", internals={"SendMessage": send})]) as cloud:
        await cloud.call("events", "PutRule", {"Name": "r", "EventPattern": '{"source": ["app"]}'})
        target = {"Id": "1", "Arn": "arn:aws:sqs:us-east-1:000000000000:q"}
        await cloud.call("events", "PutTargets", {"Rule": "r", "Targets": [target]})

        async def sent(**more):
            asked = {"Entries": [entry(EventBusName=f"{BUS_ARN}default", **more)]}
            return (await cloud.call("events", "PutEvents", asked, account="111122223333"))["Entries"][0].get(
                "ErrorCode"
            )

        assert await sent() == "AccessDeniedException"
        permission = {"Action": "events:PutEvents", "Principal": "111122223333", "StatementId": "s"}
        await cloud.call("events", "PutPermission", permission)
        assert await sent() is None
        assert got == [("000000000000", "111122223333")]
        deny = {"Effect": "Deny", "Principal": {"AWS": "111122223333"}, "Action": "events:PutEvents"}
        condition = {"StringEquals": {"events:detail-type": "secret"}}
        allow = {**deny, "Effect": "Allow", "Principal": "*"}
        policy = {"Statement": [allow, {**deny, "Condition": condition}]}
        await cloud.call("events", "PutPermission", {"Policy": json.dumps(policy)})
        assert await sent() is None
        assert await sent(kind="secret") == "AccessDeniedException"
        elsewhere = {"StringEquals": {"aws:SourceVpc": "vpc-1"}}  # a condition that is not known denies
        await cloud.call(
            "events", "PutPermission", {"Policy": json.dumps({"Statement": [allow, {**deny, "Condition": elsewhere}]})}
        )
        assert await sent() == "AccessDeniedException"
        unknown = {"Statement": [{**allow, "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}}]}
        await cloud.call("events", "PutPermission", {"Policy": json.dumps(unknown)})
        assert await sent() == "AccessDeniedException"


@in_a_loop
async def test_services_emit_events_with_their_own_sources():
    got = []

    def send(ctx, req):
        got.append(json.loads(req["MessageBody"]))
        return {}

    async with InProcess([events.SERVICE, Service("sqs", internals={"SendMessage": send})]) as cloud:
        emitted = {
            "Source": "aws.s3",
            "DetailType": "Object Created",
            "Detail": {"bucket": {"name": "b"}},
            "Resources": ["arn:b"],
        }
        assert await cloud.call("events", "cumulet:Emit", emitted) == {}  # nobody listens
        pattern = '{"source": ["aws.s3"], "detail": {"bucket": {"name": ["b"]}}}'
        await cloud.call("events", "PutRule", {"Name": "r", "EventPattern": pattern})
        target = {"Id": "1", "Arn": "arn:aws:sqs:us-east-1:000000000000:q"}
        await cloud.call("events", "PutTargets", {"Rule": "r", "Targets": [target]})
        number = (await cloud.call("events", "cumulet:Emit", emitted))["EventId"]
        (event,) = got
        assert (event["id"], event["source"], event["resources"]) == (number, "aws.s3", ["arn:b"])
        assert event["detail"] == {"bucket": {"name": "b"}}


# what is measured and traced


def test_deliveries_are_counted(client, aws, queues, to_queue, clock):
    to_queue()
    client.create_event_bus(Name="b")
    client.put_rule(Name="r", EventBusName="b", EventPattern='{"source": ["app"]}')
    gone = "arn:aws:sqs:us-east-1:000000000000:gone"
    client.put_targets(
        Rule="r", EventBusName="b", Targets=[{"Id": "1", "Arn": gone, "DeadLetterConfig": {"Arn": queues.arn("dead")}}]
    )
    begin = clock.now()
    put(client, entry(), entry(), entry(EventBusName="b"), entry(source="nobody"))
    clock.advance(120)

    def total(name, **dimensions):
        points = aws("cloudwatch").get_metric_statistics(
            Namespace="AWS/Events", MetricName=name, Period=60, Statistics=["Sum"], StartTime=begin - 60, EndTime=begin + 300,
            Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        )["Datapoints"]  # fmt: skip
        return sum(point["Sum"] for point in points)

    assert total("MatchedEvents") == 3
    assert total("TriggeredRules", RuleName="q") == 2
    assert total("Invocations", RuleName="q") == 2
    assert total("Invocations") == 3
    assert total("FailedInvocations", RuleName="q") == 0
    assert total("FailedInvocations", EventBusName="b", RuleName="r") == 1
    assert total("InvocationsSentToDlq", EventBusName="b", RuleName="r") == 1
    assert total("PutEventsEntriesCount") == 4


def test_a_delivery_belongs_to_the_trace_of_its_event(client, to_queue, cloud):
    to_queue()
    put(client, entry())
    tracer = cloud.cloud.pipeline.tracer
    (top,) = [span for span in tracer.traces(50) if span["name"] == "events.PutEvents"]
    assert "sqs.SendMessage" in {span["name"] for span in tracer.spans(top["trace_id"])}
