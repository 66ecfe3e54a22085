"""The Notifier deployed, subscribed to by other stacks, and one of its subscribers broken. Checklist: B7.1, B7.2, B7.3, B7.4, D10."""

import json

import pytest


@pytest.fixture
def notifier(pattern, cloud):
    return pattern.deploy(cloud.endpoint)


def resources(deployed):
    found = deployed.client("cloudformation").describe_stack_resources(StackName=deployed.stack)["StackResources"]
    return {
        resource["LogicalResourceId"]: (resource["PhysicalResourceId"], resource["Timestamp"]) for resource in found
    }


def test_a_topic_is_the_service_and_anyone_publishes_to_it(pattern, notifier):
    """B7.1: a standalone topic with a well-defined API, no code deployed."""
    assert [name for name in resources(notifier)] == ["Billing"]
    assert pattern.publish(notifier, "i0", "paid")


def test_subscribers_come_with_stacks_of_their_own_and_the_publishers_is_untouched(pattern, notifier, clock):
    """B7.2: the subscription is the subscriber's; B7.4: SQS and Lambda each get their copy."""
    before = resources(notifier)
    ledger = pattern.subscribe(notifier.endpoint, "ledger")
    dunning = pattern.subscribe(notifier.endpoint, "dunning")
    for invoice, kind in (("i1", "paid"), ("i2", "overdue"), ("i3", "paid")):
        pattern.publish(notifier, invoice, kind)
    clock.quiet()
    assert pattern.heard(ledger) == ["i1", "i2", "i3"]
    assert pattern.letters(dunning) == ["i2"], "the filter policy lets overdue invoices pass"
    assert resources(notifier) == before


def test_a_new_subscriber_hears_what_is_published_from_then_on(pattern, notifier):
    """B7.3: added at run time, without a restart."""
    first = pattern.subscribe(notifier.endpoint, "ledger")
    pattern.publish(notifier, "early", "paid")
    sqs, sns = notifier.client("sqs"), notifier.client("sns")
    url = sqs.create_queue(QueueName="late")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(
        TopicArn=notifier.outputs["Topic"], Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"}
    )
    pattern.publish(notifier, "late", "paid")
    assert pattern.heard(first) == ["early", "late"]
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert [json.loads(message["Body"])["invoice"] for message in messages] == ["late"]


def test_a_failing_subscriber_delays_nobody_and_ends_in_its_own_dead_letter_queue(pattern, notifier, clock):
    """B7.4: fan-out to SQS, Lambda and HTTP; the failures of one end in the subscription's queue."""
    ledger = pattern.subscribe(notifier.endpoint, "ledger")
    dunning = pattern.subscribe(notifier.endpoint, "dunning")
    with pattern.partner() as outside:
        partner = pattern.subscribe(notifier.endpoint, "partner", PartnerUrl=outside.url)
        clock.quiet()
        assert outside.confirmed.wait(60)
        pattern.publish(notifier, "i1", "overdue")
        clock.quiet()
        assert outside.notices == ["i1"]
        outside.status = 500
        pattern.publish(notifier, "i2", "overdue")
        clock.quiet()
        assert pattern.heard(ledger) == ["i1", "i2"], "the others have theirs at once"
        assert pattern.letters(dunning) == ["i1", "i2"]
        clock.advance(3600)
        assert outside.attempts == 1 + 5, "the notice that went well, and an attempt with four retries"
    sqs = notifier.client("sqs")
    (message,) = sqs.receive_message(QueueUrl=partner.outputs["Undelivered"])["Messages"]
    assert json.loads(json.loads(message["Body"])["Message"])["invoice"] == "i2"


def test_what_was_published_reaches_every_subscriber_after_sigkill(pattern, server_process):
    """B7.4, D10: an acknowledged publish is delivered, though the server dies."""
    server = server_process("--clock", "virtual").start()
    notifier = pattern.deploy(server.endpoint)
    ledger, dunning = pattern.subscribe(server.endpoint, "ledger"), pattern.subscribe(server.endpoint, "dunning")
    published = []
    for number in range(45):
        pattern.publish(notifier, f"i{number:02d}", "overdue")
        published.append(f"i{number:02d}")
        if number % 15 == 14:
            server.kill()
            server.start()
    notifier.clock(advance=600)
    assert sorted(set(pattern.heard(ledger))) == published
    assert pattern.letters(dunning) == published
