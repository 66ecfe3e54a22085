"""Deliveries of SNS: fan-out, retries, dead-letter queues, order, status logs, metrics."""

import asyncio
import base64
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.aws.errors import AwsError
from cumulet.kernel.outcome import EffectFailed
from cumulet.services.sns.retries import AWS_MANAGED, MAX_TOTAL_S, Schedule

from .sns_neighbours import Neighbours, function_arn, queue_arn, topic_with

RAW = {"RawMessageDelivery": "true"}
ROLE = "arn:aws:iam::000000000000:role/feedback"
SERVER_ERROR = ("InternalFailure", 500)
GONE = ("AWS.SimpleQueueService.NonExistentQueue", 400)


def run(work):
    neighbours = Neighbours()

    async def scene():
        async with neighbours.open() as cloud:
            await work(cloud, neighbours)

    asyncio.run(scene())


def redrive(queue):
    return {"RedrivePolicy": json.dumps({"deadLetterTargetArn": queue_arn(queue)})}


async def publish(cloud, topic, text="hello", **members):
    return await cloud.call("sns", "Publish", {"TopicArn": topic, "Message": text, **members})


def test_queues_and_functions_have_their_copy_when_publish_answers():
    async def work(cloud, neighbours):
        endpoints = [("sqs", queue_arn(f"q{n}"), RAW) for n in range(3)]
        topic, _ = await topic_with(cloud, *endpoints, ("lambda", function_arn("f"), {}))
        await publish(cloud, topic)
        assert [neighbours.bodies(f"q{n}") for n in range(3)] == [["hello"]] * 3
        event = json.loads(neighbours.got["f"][0][1]["Payload"])
        assert event["Records"][0]["Sns"]["Message"] == "hello"

    run(work)


def test_a_failing_subscriber_delays_no_other_and_ends_in_its_dead_letter_queue():
    """B7.4: its failures end in the subscription's dead-letter queue."""

    async def work(cloud, neighbours):
        neighbours.fail["gone"] = GONE
        topic, _ = await topic_with(cloud, ("sqs", queue_arn("gone"), redrive("dead")), ("sqs", queue_arn("fine"), RAW))
        message = await publish(cloud, topic, Subject="S")
        assert neighbours.bodies("fine") == ["hello"]
        [(_, dead)] = neighbours.got["dead"]
        envelope = json.loads(dead["MessageBody"])
        assert (envelope["MessageId"], envelope["Message"]) == (message["MessageId"], "hello")
        attributes = {name: value["StringValue"] for name, value in dead["MessageAttributes"].items()}
        assert attributes["ErrorCode"] == GONE[0] and attributes["ErrorMessage"] == "told to fail"
        assert attributes["RequestID"]
        await cloud.advance(100)
        assert len(neighbours.got["dead"]) == 1  # a client's error is not retried

    run(work)


@pytest.mark.parametrize(("protocol", "endpoint"), [("sqs", queue_arn("t")), ("lambda", function_arn("t"))])
def test_an_aws_endpoint_is_retried_at_once_then_by_seconds_then_with_backoff(protocol, endpoint):
    async def work(cloud, neighbours):
        topic, _ = await topic_with(cloud, (protocol, endpoint, {}))
        neighbours.fail["t"] = [SERVER_ERROR] * 16
        start = cloud.clock.now()
        await publish(cloud, topic)
        await cloud.quiet()
        assert len(neighbours.fail["t"]) == 12  # the first attempt and three without delay
        await cloud.advance(1)
        assert len(neighbours.fail["t"]) == 11
        await cloud.advance(1)
        assert len(neighbours.fail["t"]) == 10
        await cloud.advance(1)
        assert len(neighbours.fail["t"]) == 9  # the backoff phase begins at one second
        await cloud.advance(200)
        delays = sum(AWS_MANAGED.delay_s(failures) for failures in range(1, 17))
        assert neighbours.times("t", start) == [pytest.approx(delays)]

    run(work)


@pytest.mark.parametrize(
    ("failure", "attempts"),
    [
        (("Slow", 429), 2),
        (("ThrottlingException", 400), 2),
        (("ServiceUnavailable", 503), 2),
        (("NotImplemented", 501), 1),
        (("AccessDenied", 403), 1),
    ],
)
def test_server_errors_and_throttling_are_retried_and_other_errors_are_not(failure, attempts):
    async def work(cloud, neighbours):
        topic, _ = await topic_with(cloud, ("sqs", queue_arn("q"), {**RAW, **redrive("dead")}))
        neighbours.fail["q"] = [failure]
        await publish(cloud, topic)
        await cloud.quiet()
        assert (neighbours.bodies("q"), neighbours.bodies("dead")) == ((["hello"], []), ([], ["hello"]))[2 - attempts]

    run(work)


@pytest.mark.parametrize(("count", "kept"), [(7, 7), (8, 0)])
def test_a_dead_raw_message_keeps_its_attributes_while_there_is_room_for_ten(count, kept):
    async def work(cloud, neighbours):
        topic, _ = await topic_with(cloud, ("sqs", queue_arn("q"), {**RAW, **redrive("dead")}))
        neighbours.fail["q"] = GONE
        attributes = {f"a{n}": {"DataType": "String", "StringValue": "x"} for n in range(count)}
        await publish(cloud, topic, MessageAttributes=attributes)
        [(_, dead)] = neighbours.got["dead"]
        assert len(dead["MessageAttributes"]) == kept + 3

    run(work)


def test_a_publish_and_its_retries_are_one_trace():
    async def work(cloud, neighbours):
        topic, _ = await topic_with(
            cloud, ("sqs", queue_arn("q"), redrive("dead")), ("http", "http://example.org/in", {})
        )
        await confirm(cloud, neighbours, topic)
        neighbours.fail["q"] = [SERVER_ERROR] * 5 + [GONE]
        neighbours.replies = [500, 200]
        await publish(cloud, topic)
        await cloud.advance(60)
        tracer = cloud.pipeline.tracer
        [root] = [span for span in tracer.traces(100) if span["name"] == "sns.Publish"]
        names = [span["name"] for span in tracer.spans(root["trace_id"])]
        assert names.count("timer sns.deliver") == 5 + 2
        assert names.count("sqs.SendMessage") == 6 + 1  # the attempts and the dead-letter queue
        assert names.count("http") == 2

    run(work)


def test_aws_endpoints_are_given_up_after_100_015_retries():
    delays = [AWS_MANAGED.delay_s(failures) for failures in range(1, 100_016)]
    assert delays[:6] == [0, 0, 0, 1, 1, 1]
    assert delays[14] == 20 and set(delays[15:]) == {20.0}
    assert AWS_MANAGED.delay_s(100_016) is None
    assert 23 < sum(delays) / 86_400 < 24


def test_the_default_policy_of_http_is_three_retries_20_seconds_apart_and_then_the_dead_letter_queue():
    async def work(cloud, neighbours):
        topic, _ = await topic_with(cloud, ("http", "http://example.org/in", redrive("dead")))
        await confirm(cloud, neighbours, topic)
        neighbours.posts.clear()
        neighbours.replies = [500, 503, 429, EffectFailed("Timeout", "no answer in 15 s")]
        start = cloud.clock.now()
        await publish(cloud, topic)
        await cloud.advance(59)
        assert [at - start for at, _ in neighbours.posts] == [0, 20, 40]
        assert "dead" not in neighbours.got
        await cloud.advance(1)
        assert [at - start for at, _ in neighbours.posts] == [0, 20, 40, 60]
        [(_, dead)] = neighbours.got["dead"]
        assert dead["MessageAttributes"]["ErrorCode"]["StringValue"] == "Timeout"
        await cloud.advance(3600)
        assert len(neighbours.posts) == 4

    run(work)


async def confirm(cloud, neighbours, topic):
    """Confirm the HTTP endpoint that was asked last."""
    await cloud.quiet()
    token = json.loads(neighbours.posts[-1][1].body)["Token"]
    return (await cloud.call("sns", "ConfirmSubscription", {"TopicArn": topic, "Token": token}))["SubscriptionArn"]


@pytest.mark.parametrize("status", [400, 403, 404, 301])
def test_other_answers_than_5xx_and_429_are_final(status):
    async def work(cloud, neighbours):
        topic, _ = await topic_with(cloud, ("http", "http://example.org/in", redrive("dead")))
        await confirm(cloud, neighbours, topic)
        neighbours.replies = [status]
        await publish(cloud, topic)
        await cloud.advance(1000)
        assert len(neighbours.posts) == 2  # the confirmation and one attempt
        assert len(neighbours.got["dead"]) == 1

    run(work)


def test_a_subscriptions_delivery_policy_beats_the_topics_unless_the_topic_forbids_it():
    async def work(cloud, neighbours):
        own = {"healthyRetryPolicy": {"numRetries": 1, "minDelayTarget": 5, "maxDelayTarget": 5}}
        topic, [arn] = await topic_with(cloud, ("http", "http://example.org/in", {"DeliveryPolicy": json.dumps(own)}))
        await confirm(cloud, neighbours, topic)

        async def attempts():
            neighbours.posts.clear()
            neighbours.replies = [500] * 9
            start = cloud.clock.now()
            await publish(cloud, topic)
            await cloud.advance(400)
            return [at - start for at, _ in neighbours.posts]

        assert await attempts() == [0, 5]
        below = {"http": {"defaultHealthyRetryPolicy": {"numRetries": 2, "minDelayTarget": 7, "maxDelayTarget": 7}}}
        setting = {"TopicArn": topic, "AttributeName": "DeliveryPolicy"}
        await cloud.call("sns", "SetTopicAttributes", {**setting, "AttributeValue": json.dumps(below)})
        assert await attempts() == [0, 5]
        below["http"]["disableSubscriptionOverrides"] = True
        await cloud.call("sns", "SetTopicAttributes", {**setting, "AttributeValue": json.dumps(below)})
        assert await attempts() == [0, 7, 14]
        shown = await cloud.call("sns", "GetSubscriptionAttributes", {"SubscriptionArn": arn})
        effective = json.loads(shown["Attributes"]["EffectiveDeliveryPolicy"])
        assert effective["healthyRetryPolicy"]["numRetries"] == 2

    run(work)


def test_the_throttle_policy_spreads_deliveries_over_time():
    async def work(cloud, neighbours):
        policy = {"DeliveryPolicy": json.dumps({"throttlePolicy": {"maxReceivesPerSecond": 2}})}
        topic, _ = await topic_with(cloud, ("http", "http://example.org/in", policy))
        await confirm(cloud, neighbours, topic)
        neighbours.posts.clear()
        start = cloud.clock.now()
        for n in range(5):
            await publish(cloud, topic, str(n))
        await cloud.advance(10)
        assert [at - start for at, _ in neighbours.posts] == [0, 0.5, 1, 1.5, 2]

    run(work)


def test_http_headers_say_what_a_message_is_and_raw_delivery_sends_it_bare():
    async def work(cloud, neighbours):
        policy = {"requestPolicy": {"headerContentType": "application/json"}}
        topic, [arn] = await topic_with(
            cloud, ("https", "https://example.org/in", {**RAW, "DeliveryPolicy": json.dumps(policy)})
        )
        await cloud.quiet()
        asked = neighbours.posts[-1][1]
        assert (asked.method, asked.url, asked.timeout_s) == ("POST", "https://example.org/in", 15)
        assert asked.headers["x-amz-sns-message-type"] == "SubscriptionConfirmation"
        assert asked.headers["Content-Type"] == "text/plain; charset=UTF-8"
        assert "x-amz-sns-subscription-arn" not in asked.headers
        await confirm(cloud, neighbours, topic)
        message = await publish(cloud, topic, '{"n":1}')
        await cloud.quiet()
        got = neighbours.posts[-1][1]
        assert got.body == b'{"n":1}'
        assert got.headers == {
            "x-amz-sns-message-type": "Notification",
            "x-amz-sns-message-id": message["MessageId"],
            "x-amz-sns-topic-arn": topic,
            "x-amz-sns-subscription-arn": arn,
            "x-amz-sns-rawdelivery": "true",
            "Content-Type": "application/json",
            "User-Agent": "Amazon Simple Notification Service Agent",
        }

    run(work)


def test_credentials_in_a_url_are_sent_and_not_shown():
    async def work(cloud, neighbours):
        _, [arn] = await topic_with(cloud, ("https", "https://me:s%40cret@example.org/in", RAW))
        await cloud.quiet()
        call = neighbours.posts[-1][1]
        assert call.url == "https://example.org/in"
        assert base64.b64decode(call.headers["Authorization"].removeprefix("Basic ")) == b"me:s@cret"
        shown = await cloud.call("sns", "GetSubscriptionAttributes", {"SubscriptionArn": arn})
        [listed] = (await cloud.call("sns", "ListSubscriptions", {}))["Subscriptions"]
        assert shown["Attributes"]["Endpoint"] == listed["Endpoint"] == "https://me:****@example.org/in"

    run(work)


def test_a_deleted_subscription_ends_its_deliveries():
    async def work(cloud, neighbours):
        topic, [arn] = await topic_with(cloud, ("sqs", queue_arn("q"), RAW))
        neighbours.fail["q"] = [SERVER_ERROR] * 4
        await publish(cloud, topic)
        await cloud.quiet()
        await cloud.call("sns", "Unsubscribe", {"SubscriptionArn": arn})
        await cloud.advance(100)
        assert neighbours.bodies("q") == [] and neighbours.fail["q"] == []
        assert list(cloud.store.begin(None).scan_keys(("sns", "delivery"))) == []

    run(work)


def test_a_large_message_that_waits_is_delivered_whole():
    async def work(cloud, neighbours):
        topic, _ = await topic_with(cloud, ("sqs", queue_arn("q"), RAW), MaximumMessageSize="1048576")
        neighbours.fail["q"] = [SERVER_ERROR] * 6
        await publish(cloud, topic, "x" * 1_000_000)
        await cloud.advance(10)
        assert neighbours.bodies("q") == ["x" * 1_000_000]
        assert list(cloud.store.begin(None).scan_keys(("~blob",))) == []

    run(work)


# FIFO


def test_messages_of_a_group_wait_behind_one_that_is_retried_and_other_groups_do_not():
    async def work(cloud, neighbours):
        topic, _ = await topic_with(
            cloud, ("sqs", queue_arn("q.fifo"), RAW), fifo=True, ContentBasedDeduplication="true"
        )
        neighbours.fail["q.fifo"] = [SERVER_ERROR] * 5
        await publish(cloud, topic, "a1", MessageGroupId="a")
        await publish(cloud, topic, "a2", MessageGroupId="a")
        assert neighbours.bodies("q.fifo") == []
        neighbours.fail["q.fifo"], left = [], neighbours.fail["q.fifo"]
        await publish(cloud, topic, "b1", MessageGroupId="b")
        assert neighbours.bodies("q.fifo") == ["b1"]
        neighbours.fail["q.fifo"] = left
        await cloud.advance(10)
        await publish(cloud, topic, "a3", MessageGroupId="a")
        assert neighbours.bodies("q.fifo") == ["b1", "a1", "a2", "a3"]

    run(work)


def test_a_group_goes_on_when_its_first_message_is_given_up():
    async def work(cloud, neighbours):
        topic, _ = await topic_with(
            cloud,
            ("sqs", queue_arn("q.fifo"), {**RAW, **redrive("dead.fifo")}),
            fifo=True,
            ContentBasedDeduplication="true",
        )
        neighbours.fail["q.fifo"] = [SERVER_ERROR] * 4 + [GONE]
        for text in ("1", "2", "3"):
            await publish(cloud, topic, text, MessageGroupId="g")
        await cloud.advance(10)
        assert neighbours.bodies("dead.fifo") == ["1"]
        assert neighbours.bodies("q.fifo") == ["2", "3"]
        assert neighbours.got["dead.fifo"][0][1]["MessageGroupId"] == "g"

    run(work)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=12))
def test_order_holds_in_every_group_whatever_fails_in_between(steps):
    """(group, how many of the next attempts fail, seconds that pass after the publish)."""

    async def work(cloud, neighbours):
        topic, _ = await topic_with(cloud, ("sqs", queue_arn("q.fifo"), RAW), fifo=True)
        sent = {"a": [], "b": []}
        for number, (group, failures, seconds) in enumerate(steps):
            neighbours.fail.setdefault("q.fifo", []).extend([SERVER_ERROR] * failures)
            await publish(cloud, topic, str(number), MessageGroupId=group, MessageDeduplicationId=str(number))
            sent[group].append(str(number))
            await cloud.advance(seconds)
        await cloud.advance(3600)
        got = {"a": [], "b": []}
        for _, request in neighbours.got["q.fifo"]:
            got[request["MessageGroupId"]].append(request["MessageBody"])
        assert got == sent
        assert list(cloud.store.begin(None).scan_keys(("sns", "line"))) == []

    run(work)


# status logs and metrics


def test_delivery_status_goes_to_the_topics_log_groups():
    async def work(cloud, neighbours):
        topic, _ = await topic_with(
            cloud,
            ("sqs", queue_arn("q"), {}),
            ("lambda", function_arn("f"), {}),
            LambdaSuccessFeedbackRoleArn=ROLE,
            LambdaSuccessFeedbackSampleRate="100",
            SQSFailureFeedbackRoleArn=ROLE,
        )
        neighbours.fail["q"] = [SERVER_ERROR] * 4 + [GONE]
        message = await publish(cloud, topic, "hello")
        await cloud.advance(5)
        [(good, success), (bad, failure)] = neighbours.logged
        assert good == "sns/us-east-1/000000000000/news" and bad == good + "/Failure"
        assert success["status"] == "SUCCESS" and failure["status"] == "FAILURE"
        assert success["notification"]["messageId"] == failure["notification"]["messageId"] == message["MessageId"]
        assert success["notification"]["messageMD5Sum"] == "5d41402abc4b2a76b9719d911017c592"
        assert success["delivery"]["destination"] == function_arn("f")
        assert (success["delivery"]["statusCode"], success["delivery"]["attempts"]) == (202, 1)
        assert (failure["delivery"]["statusCode"], failure["delivery"]["attempts"]) == (400, 5)
        assert failure["delivery"]["dwellTimeMs"] == 1000

    run(work)


def test_no_successful_delivery_is_logged_at_a_sample_rate_of_zero():
    async def work(cloud, neighbours):
        topic, _ = await topic_with(
            cloud,
            ("sqs", queue_arn("q"), {}),
            SQSSuccessFeedbackRoleArn=ROLE,
            SQSSuccessFeedbackSampleRate="0",
        )
        await publish(cloud, topic)
        assert neighbours.logged == []

    run(work)


def test_metrics_count_what_happened_to_messages():
    async def work(cloud, neighbours):
        wanted = {"FilterPolicy": json.dumps({"kind": ["a"]})}
        body = {"FilterPolicy": json.dumps({"kind": ["a"]}), "FilterPolicyScope": "MessageBody"}
        neighbours.fail.update({"gone": GONE, "dead2": GONE})
        topic, _ = await topic_with(
            cloud,
            ("sqs", queue_arn("all"), {}),
            ("sqs", queue_arn("some"), wanted),
            ("sqs", queue_arn("body"), body),
            ("sqs", queue_arn("gone"), redrive("dead1")),
            ("lambda", function_arn("gone"), redrive("dead2")),
        )
        other = {"kind": {"DataType": "String", "StringValue": "b"}}
        await publish(cloud, topic, "12345")
        await publish(cloud, topic, '{"kind":"b"}', MessageAttributes=other)
        broken = {"kind": {"DataType": "String.Array", "StringValue": "no json"}}
        await publish(cloud, topic, '{"kind":"a"}', MessageAttributes=broken)
        await cloud.advance(60)
        assert neighbours.points == {
            "NumberOfMessagesPublished": 3,
            "PublishSize": 5 + (12 + 4 + 6 + 1) + (12 + 4 + 12 + 7),
            "NumberOfNotificationsDelivered": 3 + 1,
            "NumberOfNotificationsFailed": 6,
            "NumberOfNotificationsRedrivenToDlq": 3,
            "NumberOfNotificationsFailedToRedriveToDlq": 3,
            "NumberOfNotificationsFilteredOut": 3 + 2,
            "NumberOfNotificationsFilteredOut-NoMessageAttributes": 1,
            "NumberOfNotificationsFilteredOut-MessageAttributes": 1,
            "NumberOfNotificationsFilteredOut-InvalidAttributes": 1,
            "NumberOfNotificationsFilteredOut-InvalidMessageBody": 1,
            "NumberOfNotificationsFilteredOut-MessageBody": 1,
        }

    run(work)


def test_the_outbox_keeps_the_newest_thousand():
    async def work(cloud, neighbours):
        for n in range(1001):
            await cloud.call("sns", "Publish", {"PhoneNumber": "+4915112345678", "Message": str(n)})
        kept = await cloud.call("sns", "cumulet:Outbox", {})
        assert [message["Body"] for message in kept["Messages"]] == [str(n) for n in range(1, 1001)]

    run(work)


# schedules


@given(
    st.integers(1, 30),
    st.integers(0, 30),
    st.integers(0, 20),
    st.integers(0, 5),
    st.integers(0, 5),
    st.integers(0, 5),
    st.sampled_from(["linear", "arithmetic", "geometric", "exponential"]),
)
def test_a_schedule_has_its_number_of_retries_and_never_leaves_its_bounds(
    least, more, grow, none, early, late, function
):
    total = none + early + grow + late
    schedule = Schedule(
        minDelayTarget=least,
        maxDelayTarget=least + more,
        numRetries=total,
        numNoDelayRetries=none,
        numMinDelayRetries=early,
        numMaxDelayRetries=late,
        backoffFunction=function,
    )
    delays = [schedule.delay_s(failures) for failures in range(1, total + 1)]
    assert schedule.delay_s(total + 1) is None
    assert delays[:none] == [0] * none
    assert delays[none : none + early] == [least] * early
    growing = delays[none + early : none + early + grow]
    assert growing == sorted(growing)
    assert all(least <= delay <= least + more + 1e-9 for delay in growing)
    if grow > 1:
        assert growing[0] == least and growing[-1] == pytest.approx(least + more)
    assert delays[none + early + grow :] == [least + more] * late


@pytest.mark.parametrize(
    "policy",
    [
        {"numRetries": 101},
        {"minDelayTarget": 0},
        {"minDelayTarget": 21},
        {"maxDelayTarget": 3601},
        {"numRetries": 3, "numNoDelayRetries": 2, "numMaxDelayRetries": 2},
        {"backoffFunction": "cubic"},
        {"numRetries": "3"},
        {"retries": 3},
        {"numRetries": 100, "minDelayTarget": 36, "maxDelayTarget": 37},
        [],
    ],
)
def test_delivery_policies_are_checked(policy):
    async def work(cloud, neighbours):
        attributes = {"DeliveryPolicy": json.dumps({"healthyRetryPolicy": policy})}
        with pytest.raises(AwsError) as error:
            await topic_with(cloud, ("http", "http://example.org/in", attributes))
        assert error.value.wire_code == "InvalidParameter"

    run(work)


def test_a_policy_may_take_an_hour_in_all():
    assert MAX_TOTAL_S == 3600

    async def work(cloud, neighbours):
        policy = {"numRetries": 100, "minDelayTarget": 36, "maxDelayTarget": 36}
        attributes = {"DeliveryPolicy": json.dumps({"healthyRetryPolicy": policy})}
        await topic_with(cloud, ("http", "http://example.org/in", attributes))

    run(work)
