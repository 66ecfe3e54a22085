"""SQS: long polls that wake at once and cost nothing, and messages that expire."""

import concurrent.futures

import pytest
from botocore.exceptions import ClientError

from tests.services.sqs_client import bodies, held, receive, until_parked

MIB = 1_048_576


@pytest.fixture
def sqs(aws):
    return aws("sqs")


@pytest.fixture
def url(sqs):
    return sqs.create_queue(QueueName="q")["QueueUrl"]


# long polling


def test_a_long_poll_is_answered_by_the_message_that_arrives(sqs, url, cloud):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(bodies, sqs, url, WaitTimeSeconds=20)
        until_parked(cloud)
        sqs.send_message(QueueUrl=url, MessageBody="here")
        assert waiting.result(60) == ["here"]


def test_a_long_poll_without_a_message_ends_at_its_time(sqs, cloud, clock):
    url = sqs.create_queue(QueueName="q", Attributes={"ReceiveMessageWaitTimeSeconds": "7"})["QueueUrl"]
    began = clock.now()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        by_queue = pool.submit(receive, sqs, url)
        until_parked(cloud)
        assert receive(sqs, url, WaitTimeSeconds=0) == []
        clock.advance(6.9)
        assert not by_queue.done()
        clock.advance(0.1)
        assert by_queue.result(60) == []
    assert clock.now() == pytest.approx(began + 7)


def test_a_long_poll_that_only_finds_a_dead_letter_goes_on_waiting(sqs, url, cloud, clock):
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    policy = '{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":1}'
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": policy})
    sqs.send_message(QueueUrl=url, MessageBody="poison")
    assert bodies(sqs, url, VisibilityTimeout=0) == ["poison"]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(bodies, sqs, url, WaitTimeSeconds=20)
        until_parked(cloud)
        assert bodies(sqs, dead, VisibilityTimeout=0) == ["poison"]  # it is there while the poll waits
        sqs.send_message(QueueUrl=url, MessageBody="good")
        assert waiting.result(60) == ["good"]
    assert held(sqs, dead) == (1, 0, 0)


def test_a_long_poll_that_only_finds_expired_messages_goes_on_waiting(sqs, cloud, clock):
    url = sqs.create_queue(QueueName="short", Attributes={"MessageRetentionPeriod": "60", "VisibilityTimeout": "90"})[
        "QueueUrl"
    ]
    sqs.send_message(QueueUrl=url, MessageBody="old")
    assert bodies(sqs, url) == ["old"]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        clock.advance(85)
        waiting = pool.submit(bodies, sqs, url, WaitTimeSeconds=20)
        until_parked(cloud)
        clock.advance(5)  # it comes back, beyond its time
        until_parked(cloud)
        assert not waiting.done()
        clock.advance(15)
        assert waiting.result(60) == []
    assert held(sqs, url) == (0, 0, 0)


def test_a_long_poll_gets_what_becomes_visible_meanwhile(sqs, url, cloud, clock):
    sqs.send_message(QueueUrl=url, MessageBody="delayed", DelaySeconds=3)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(bodies, sqs, url, WaitTimeSeconds=20, VisibilityTimeout=4)
        until_parked(cloud)
        clock.advance(3)
        assert waiting.result(60) == ["delayed"]
        waiting = pool.submit(receive, sqs, url, WaitTimeSeconds=20)
        until_parked(cloud)
        clock.advance(4)
        (message,) = waiting.result(60)
        waiting = pool.submit(bodies, sqs, url, WaitTimeSeconds=20)
        until_parked(cloud)
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
        assert waiting.result(60) == ["delayed"]


@pytest.mark.parametrize("group", [{}, {"MessageGroupId": "g"}])
def test_a_long_poll_gets_a_delayed_message_that_was_sent_while_it_waited(sqs, url, cloud, clock, group):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(bodies, sqs, url, WaitTimeSeconds=20)
        until_parked(cloud)
        sqs.send_message(QueueUrl=url, MessageBody="m", DelaySeconds=3, **group)
        clock.advance(3)
        assert waiting.result(60) == ["m"]


def test_a_long_poll_learns_that_a_visibility_timeout_was_shortened(sqs, url, cloud, clock):
    sqs.send_message(QueueUrl=url, MessageBody="m")
    (message,) = receive(sqs, url)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(bodies, sqs, url, WaitTimeSeconds=20)
        until_parked(cloud)
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=5)
        clock.advance(5)
        assert waiting.result(60) == ["m"]


def test_each_of_many_long_polls_gets_a_message_of_its_own(sqs, url, cloud):
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        waiting = [pool.submit(bodies, sqs, url, 1, WaitTimeSeconds=20) for _ in range(5)]
        until_parked(cloud, 5)
        sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": str(n)} for n in range(5)])
        assert sorted(body for poll in waiting for body in poll.result(60)) == ["0", "1", "2", "3", "4"]


def test_a_long_poll_on_a_queue_that_is_deleted_says_so(sqs, url, cloud):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(receive, sqs, url, WaitTimeSeconds=20)
        until_parked(cloud)
        sqs.delete_queue(QueueUrl=url)
        with pytest.raises(ClientError, match="does not exist"):
            waiting.result(60)


def test_a_waiting_receive_does_no_work_while_it_waits(sqs, url, cloud):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(bodies, sqs, url, WaitTimeSeconds=20)
        until_parked(cloud)
        commits = cloud.cloud.store.commits
        other = sqs.create_queue(QueueName="other")["QueueUrl"]
        sqs.send_message(QueueUrl=other, MessageBody="elsewhere")
        assert not waiting.done()
        assert cloud.cloud.store.commits <= commits + 2  # the other queue's own
        sqs.send_message(QueueUrl=url, MessageBody="here")
        assert waiting.result(60) == ["here"]


def test_an_empty_receive_writes_nothing(sqs, url, cloud):
    receive(sqs, url)
    commits = cloud.cloud.store.commits
    for _ in range(5):
        assert receive(sqs, url) == []
    assert cloud.cloud.store.commits == commits


# retention


def test_messages_are_gone_after_the_retention_period(sqs, clock):
    url = sqs.create_queue(QueueName="short", Attributes={"MessageRetentionPeriod": "60"})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="old")
    clock.advance(30)
    sqs.send_message(QueueUrl=url, MessageBody="young")
    clock.advance(29.9)
    assert held(sqs, url) == (2, 0, 0)
    clock.advance(0.2)
    assert held(sqs, url) == (1, 0, 0)
    assert bodies(sqs, url) == ["young"]
    clock.advance(31)
    assert bodies(sqs, url) == []
    assert held(sqs, url) == (0, 0, 0)


def test_a_message_that_expires_in_flight_does_not_come_back(sqs, clock):
    url = sqs.create_queue(QueueName="short", Attributes={"MessageRetentionPeriod": "60"})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="old")
    receive(sqs, url, VisibilityTimeout=100)
    clock.advance(101)
    assert held(sqs, url) == (0, 0, 0)
    assert receive(sqs, url) == []


def test_a_shorter_retention_period_holds_for_the_messages_there(sqs, url, clock):
    sqs.send_message(QueueUrl=url, MessageBody="old")
    clock.advance(100)
    sqs.send_message(QueueUrl=url, MessageBody="young")
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"MessageRetentionPeriod": "90"})
    clock.advance(0)
    assert held(sqs, url) == (1, 0, 0)
    clock.advance(90.1)
    assert held(sqs, url) == (0, 0, 0)


def test_a_queue_whose_messages_expired_watches_the_next_ones_too(sqs, clock):
    url = sqs.create_queue(QueueName="short", Attributes={"MessageRetentionPeriod": "60"})["QueueUrl"]
    for _ in range(3):
        sqs.send_message(QueueUrl=url, MessageBody="m")
        clock.advance(61)
        assert held(sqs, url) == (0, 0, 0)
