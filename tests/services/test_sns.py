"""SNS topics and subscriptions over the wire: attributes, policies, tags, paging, quotas."""

import json

import pytest
from botocore.exceptions import ClientError

from cumulet.services.sns.model import Topic, count_key, topic_key

ACCOUNT = "000000000000"
QUEUE = "arn:aws:sqs:us-east-1:000000000000:orders"
FUNCTION = "arn:aws:lambda:us-east-1:000000000000:function:worker"
ROLE = "arn:aws:iam::000000000000:role/feedback"


@pytest.fixture
def sns(aws):
    return aws("sns")


@pytest.fixture
def topic(sns):
    return sns.create_topic(Name="news")["TopicArn"]


def refused(call, code, *words, **request):
    with pytest.raises(ClientError) as error:
        call(**request)
    found = error.value.response["Error"]
    assert found["Code"] == code, found
    for word in words:
        assert word in found["Message"], found
    return found["Message"]


def subscribe(sns, topic, protocol="sqs", endpoint=QUEUE, **attributes):
    request = {"TopicArn": topic, "Protocol": protocol, "Endpoint": endpoint, "ReturnSubscriptionArn": True}
    if attributes:
        request["Attributes"] = attributes
    return sns.subscribe(**request)["SubscriptionArn"]


def attributes_of(sns, arn):
    return sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]


def put(cloud, *rows):
    """Write rows as if they had come about one by one."""

    def write(tx):
        for key, change in rows:
            if callable(change):
                tx.put(key, change(tx.get(key, Topic)))
            else:
                tx.add(key, change)

    cloud.run(cloud.cloud.store.transact(write))


# topics


def test_a_topic_is_made_shown_and_deleted(sns):
    arn = sns.create_topic(Name="news", Attributes={"DisplayName": "The news"})["TopicArn"]
    assert arn == "arn:aws:sns:us-east-1:000000000000:news"
    assert sns.list_topics()["Topics"] == [{"TopicArn": arn}]
    shown = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    assert (shown["TopicArn"], shown["Owner"], shown["DisplayName"]) == (arn, ACCOUNT, "The news")
    assert (shown["SubscriptionsConfirmed"], shown["SubscriptionsPending"], shown["SubscriptionsDeleted"]) == (
        "0",
        "0",
        "0",
    )
    assert "FifoTopic" not in shown
    sns.delete_topic(TopicArn=arn)
    sns.delete_topic(TopicArn=arn)  # again is fine
    assert sns.list_topics()["Topics"] == []
    refused(sns.get_topic_attributes, "NotFound", "Topic does not exist", TopicArn=arn)


def test_making_a_topic_again_gives_the_same_one_unless_attributes_or_tags_differ(sns):
    first = sns.create_topic(Name="news", Attributes={"DisplayName": "A"}, Tags=[{"Key": "k", "Value": "v"}])
    assert sns.create_topic(Name="news")["TopicArn"] == first["TopicArn"]
    assert sns.create_topic(Name="news", Attributes={"DisplayName": "A"})["TopicArn"] == first["TopicArn"]
    refused(sns.create_topic, "InvalidParameter", "different attributes", Name="news", Attributes={"DisplayName": "B"})
    refused(sns.create_topic, "InvalidParameter", "different tags", Name="news", Tags=[{"Key": "k", "Value": "w"}])
    assert sns.get_topic_attributes(TopicArn=first["TopicArn"])["Attributes"]["DisplayName"] == "A"


@pytest.mark.parametrize("name", ["", "a b", "a" * 257, "news.fifo", "ä"])
def test_a_topics_name_has_256_letters_digits_hyphens_and_underscores(sns, name):
    refused(sns.create_topic, "InvalidParameter", "Invalid parameter: Topic Name", Name=name)
    sns.create_topic(Name="a" * 256)


@pytest.mark.parametrize("name", ["news", ".fifo", "a" * 252 + ".fifo"])
def test_a_fifo_topics_name_ends_in_fifo(sns, name):
    refused(sns.create_topic, "InvalidParameter", "must end with .fifo", Name=name, Attributes={"FifoTopic": "true"})
    arn = sns.create_topic(Name="a" * 251 + ".fifo", Attributes={"FifoTopic": "true"})["TopicArn"]
    shown = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    assert (shown["FifoTopic"], shown["ContentBasedDeduplication"]) == ("true", "false")


def test_whether_a_topic_is_fifo_is_true_or_false(sns):
    refused(sns.create_topic, "InvalidParameter", "FifoTopic", Name="a", Attributes={"FifoTopic": "yes"})
    sns.create_topic(Name="a", Attributes={"FifoTopic": "false"})


GOOD = [
    ("DisplayName", "x" * 100),
    ("TracingConfig", "Active"),
    ("SignatureVersion", "2"),
    ("MaximumMessageSize", "1024"),
    ("MaximumMessageSize", "1048576"),
    ("LambdaSuccessFeedbackRoleArn", ROLE),
    ("SQSSuccessFeedbackSampleRate", "100"),
    ("HTTPFailureFeedbackRoleArn", ROLE),
    ("DeliveryPolicy", '{"http":{"defaultHealthyRetryPolicy":{"numRetries":5}}}'),
]


@pytest.mark.parametrize(("name", "value"), GOOD)
def test_attributes_of_a_topic_are_set_and_taken_away(sns, topic, name, value):
    sns.set_topic_attributes(TopicArn=topic, AttributeName=name, AttributeValue=value)
    assert sns.get_topic_attributes(TopicArn=topic)["Attributes"][name] == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DisplayName", "x" * 101),
        ("TracingConfig", "On"),
        ("SignatureVersion", "3"),
        ("MaximumMessageSize", "1023"),
        ("MaximumMessageSize", "1048577"),
        ("MaximumMessageSize", "1" * 5000),
        ("MaximumMessageSize", "\u0661" * 4),
        ("LambdaSuccessFeedbackRoleArn", "role"),
        ("SQSSuccessFeedbackSampleRate", "101"),
        ("SQSSuccessFeedbackSampleRate", "1" * 5000),
        ("DeliveryPolicy", '{"https":{}}'),
        ("DeliveryPolicy", "no json"),
        ("ContentBasedDeduplication", "true"),
        ("FifoTopic", "true"),
        ("Colour", "red"),
        ("Policy", "{}"),
    ],
)
def test_attributes_of_a_topic_are_checked(sns, topic, name, value):
    request = {"TopicArn": topic, "AttributeName": name, "AttributeValue": value}
    refused(sns.set_topic_attributes, "InvalidParameter", **request)


@pytest.mark.parametrize(
    "name", ["ArchivePolicy", "FirehoseSuccessFeedbackRoleArn", "ApplicationFailureFeedbackRoleArn"]
)
def test_settings_that_are_not_honoured_are_refused_by_name(sns, topic, name):
    request = {"TopicArn": topic, "AttributeName": name, "AttributeValue": ROLE}
    refused(sns.set_topic_attributes, "NotImplemented", name, **request)
    refused(sns.create_topic, "NotImplemented", name, Name="other", Attributes={name: ROLE})


def test_what_is_wrong_in_a_map_of_attributes_is_said_to_be_there(sns, topic):
    """AWS's words differ between an attribute that is set alone and one in CreateTopic's or Subscribe's map."""

    def message(call, **request):
        with pytest.raises(ClientError) as failure:
            call(**request)
        assert failure.value.response["Error"]["Code"] == "InvalidParameter"
        return failure.value.response["Error"]["Message"]

    text = message(sns.create_topic, Name="other", Attributes={"Colour": "x"})
    assert text == "Invalid parameter: Attributes Reason: Unknown attribute Colour"
    text = message(sns.set_topic_attributes, TopicArn=topic, AttributeName="Colour", AttributeValue="x")
    assert text == "Invalid parameter: AttributeName"
    queue = {"TopicArn": topic, "Protocol": "sqs", "Endpoint": QUEUE}
    text = message(sns.subscribe, **queue, Attributes={"Colour": "x"})
    assert text == "Invalid parameter: Attributes Reason: Unknown attribute Colour"
    redrive = json.dumps({"deadLetterTargetArn": QUEUE, "maxReceiveCount": 5})
    wrong = "RedrivePolicy: invalid JSON. Attribute maxReceiveCount is unknown."
    text = message(sns.subscribe, **queue, Attributes={"RedrivePolicy": redrive})
    assert text == f"Invalid parameter: Attributes Reason: {wrong}"
    arn = sns.subscribe(**queue)["SubscriptionArn"]
    request = {"SubscriptionArn": arn, "AttributeName": "RedrivePolicy", "AttributeValue": redrive}
    assert message(sns.set_subscription_attributes, **request) == f"Invalid parameter: {wrong}"
    text = message(sns.subscribe, **queue, Attributes={"FilterPolicy": '{"a":"b"}'})
    assert text.startswith("Invalid parameter: Attributes Reason: FilterPolicy: ")


def test_operations_that_are_not_there_are_refused_by_name(sns, topic):
    refused(sns.list_platform_applications, "NotImplemented", "ListPlatformApplications")
    refused(sns.get_data_protection_policy, "NotImplemented", "GetDataProtectionPolicy", ResourceArn=topic)
    refused(
        sns.create_topic, "NotImplemented", "DataProtectionPolicy", Name="other", DataProtectionPolicy='{"Name":"x"}'
    )
    for protocol in ("application", "firehose"):
        refused(sns.subscribe, "NotImplemented", protocol, TopicArn=topic, Protocol=protocol, Endpoint="arn:x")


@pytest.mark.parametrize(
    ("arn", "words"),
    [
        ("news", "An ARN must have at least 6 elements, not 1"),
        ("arn:aws:sqs:us-east-1:000000000000:news", "TopicArn"),
        ("arn:aws:sns:eu-west-1:000000000000:news", "TopicArn"),
        ("arn:aws:sns:us-east-1:000000000000:news:id", "TopicArn"),
    ],
)
def test_an_arn_that_is_no_topics_is_invalid(sns, topic, arn, words):
    refused(sns.get_topic_attributes, "InvalidParameter", words, TopicArn=arn)
    refused(sns.publish, "InvalidParameter", words, TopicArn=arn, Message="x")
    refused(sns.subscribe, "InvalidParameter", words, TopicArn=arn, Protocol="sqs", Endpoint=QUEUE)


def test_topics_come_in_pages_of_a_hundred(sns):
    arns = [sns.create_topic(Name=f"t{n:03}")["TopicArn"] for n in range(201)]
    pages = list(sns.get_paginator("list_topics").paginate())
    assert [len(page["Topics"]) for page in pages] == [100, 100, 1]
    assert [topic["TopicArn"] for page in pages for topic in page["Topics"]] == arns
    refused(sns.list_topics, "InvalidParameter", "NextToken", NextToken="!")


def test_a_last_page_of_a_hundred_has_no_token(sns):
    for n in range(100):
        sns.create_topic(Name=f"t{n}")
    assert "NextToken" not in sns.list_topics()


# policies


def statements(*some):
    return json.dumps({"Version": "2008-10-17", "Statement": list(some)})


def statement(n, principals=1):
    accounts = [f"{each:012d}" for each in range(principals)]
    return {"Sid": str(n), "Effect": "Allow", "Principal": {"AWS": accounts}, "Action": "SNS:Publish", "Resource": "*"}


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        (statements(*map(statement, range(100))), statements(*map(statement, range(101)))),
        (statements(statement(1, 200)), statements(statement(1, 201))),
        (statements(statement(1, 1)), statements(statement(1, 0))),
        (statements(statement(1), statement(2)), statements(statement(1), statement(1))),
    ],
)
def test_a_topics_policy_has_quotas(sns, topic, good, bad):
    request = {"TopicArn": topic, "AttributeName": "Policy"}
    sns.set_topic_attributes(**request, AttributeValue=good)
    refused(sns.set_topic_attributes, "InvalidParameter", "Policy Error", **request, AttributeValue=bad)
    assert json.loads(sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"]) == json.loads(good)


def test_a_topics_policy_lets_the_owner_in_until_another_is_set(sns, topic):
    def policy():
        return json.loads(sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])

    [statement] = policy()["Statement"]
    assert statement["Condition"] == {"StringEquals": {"AWS:SourceOwner": ACCOUNT}}
    sns.add_permission(
        TopicArn=topic, Label="friends", AWSAccountId=["111111111111"], ActionName=["Publish", "Subscribe"]
    )
    assert policy()["Statement"][1] == {
        "Sid": "friends",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
        "Action": ["SNS:Publish", "SNS:Subscribe"],
        "Resource": topic,
    }
    again = {"TopicArn": topic, "Label": "friends", "AWSAccountId": ["111111111111"], "ActionName": ["Publish"]}
    refused(sns.add_permission, "InvalidParameter", "Statement already exists", **again)
    sns.remove_permission(TopicArn=topic, Label="friends")
    assert len(policy()["Statement"]) == 1
    refused(sns.remove_permission, "NotFound", TopicArn=topic, Label="friends")
    given = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": topic,
        },
    }
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps(given))
    assert policy() == given


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"ActionName": ["Fly"]}, "Policy statement action out of service scope!"),
        ({"AWSAccountId": ["me"]}, "AWSAccountId"),
        ({"AWSAccountId": []}, "AWSAccountId"),
    ],
)
def test_permissions_are_checked(sns, topic, members, words):
    request = {"TopicArn": topic, "Label": "l", "AWSAccountId": ["111111111111"], "ActionName": ["Publish"], **members}
    refused(sns.add_permission, "InvalidParameter", words, **request)


@pytest.mark.parametrize(
    "change",
    [{"Effect": "Maybe"}, {"Action": "sqs:SendMessage"}, {"Principal": None}, {"NotAction": "sns:Publish"}],
)
def test_policies_are_checked(sns, topic, change):
    statement = {"Effect": "Allow", "Principal": "*", "Action": "sns:Publish", "Resource": topic, **change}
    policy = {"Statement": [{name: value for name, value in statement.items() if value is not None}]}
    request = {"TopicArn": topic, "AttributeName": "Policy", "AttributeValue": json.dumps(policy)}
    refused(sns.set_topic_attributes, "InvalidParameter", "Policy", **request)


def test_a_policy_has_30_kilobytes_at_most(sns, topic):
    def sized(size):
        statement = {"Sid": "", "Effect": "Allow", "Principal": "*", "Action": "sns:Publish", "Resource": topic}
        statement["Sid"] = "x" * (size - len(json.dumps({"Statement": [statement]})))
        return {"TopicArn": topic, "AttributeName": "Policy", "AttributeValue": json.dumps({"Statement": [statement]})}

    sns.set_topic_attributes(**sized(30_720))
    refused(sns.set_topic_attributes, "InvalidParameter", "30720", **sized(30_721))


# tags


def test_a_topic_has_up_to_fifty_tags(sns, topic):
    tags = [{"Key": f"k{n}", "Value": "v"} for n in range(50)]
    sns.tag_resource(ResourceArn=topic, Tags=tags)
    refused(sns.tag_resource, "TagLimitExceeded", ResourceArn=topic, Tags=[{"Key": "one more", "Value": ""}])
    sns.tag_resource(ResourceArn=topic, Tags=[{"Key": "k0", "Value": "new"}])
    sns.untag_resource(ResourceArn=topic, TagKeys=[f"k{n}" for n in range(1, 50)])
    assert sns.list_tags_for_resource(ResourceArn=topic)["Tags"] == [{"Key": "k0", "Value": "new"}]
    refused(sns.tag_resource, "InvalidParameter", ResourceArn=topic, Tags=[{"Key": "aws:x", "Value": ""}])
    twice = [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]
    refused(sns.tag_resource, "InvalidParameter", "Duplicated", ResourceArn=topic, Tags=twice)
    refused(sns.list_tags_for_resource, "ResourceNotFound", ResourceArn=topic + "x")


# subscriptions


def test_a_queue_is_subscribed_at_once_and_subscribing_it_again_changes_nothing(sns, topic):
    arn = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=QUEUE)["SubscriptionArn"]
    assert arn.startswith(f"{topic}:") and len(arn) == len(topic) + 37
    assert subscribe(sns, topic) == arn
    expected = {"SubscriptionArn": arn, "Owner": ACCOUNT, "Protocol": "sqs", "Endpoint": QUEUE, "TopicArn": topic}
    assert sns.list_subscriptions()["Subscriptions"] == [expected]
    assert sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == [expected]
    shown = attributes_of(sns, arn)
    assert shown == {
        "SubscriptionArn": arn,
        "TopicArn": topic,
        "Owner": ACCOUNT,
        "Protocol": "sqs",
        "Endpoint": QUEUE,
        "PendingConfirmation": "false",
        "ConfirmationWasAuthenticated": "true",
        "RawMessageDelivery": "false",
        "SubscriptionPrincipal": f"arn:aws:iam::{ACCOUNT}:root",
    }
    sns.unsubscribe(SubscriptionArn=arn)
    sns.unsubscribe(SubscriptionArn=arn)
    assert sns.list_subscriptions()["Subscriptions"] == []
    refused(sns.get_subscription_attributes, "NotFound", "Subscription does not exist", SubscriptionArn=arn)
    counts = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    assert (counts["SubscriptionsConfirmed"], counts["SubscriptionsDeleted"]) == ("0", "1")


def test_subscribing_again_with_other_attributes_is_refused(sns, topic):
    arn = subscribe(sns, topic, FilterPolicy='{"a":["b"]}')
    assert subscribe(sns, topic, FilterPolicy='{"a":["b"]}', RawMessageDelivery="false") == arn
    request = {"TopicArn": topic, "Protocol": "sqs", "Endpoint": QUEUE}
    for attributes in ({"FilterPolicy": '{"a":["c"]}'}, {"RawMessageDelivery": "true"}):
        refused(sns.subscribe, "InvalidParameter", "different attributes", **request, Attributes=attributes)
    other = QUEUE + "-raw"
    subscribe(sns, topic, endpoint=other, RawMessageDelivery="true")
    request["Endpoint"], off = other, {"RawMessageDelivery": "false"}
    refused(sns.subscribe, "InvalidParameter", "different attributes", **request, Attributes=off)


@pytest.mark.parametrize(
    ("protocol", "endpoint", "words"),
    [
        ("carrier pigeon", "x", "does not support this protocol string: carrier pigeon"),
        ("sqs", "http://127.0.0.1/orders", "SQS endpoint ARN"),
        ("sqs", "arn:aws:sqs:us-east-1:000000000000:orders.fifo", "FIFO SQS Queues can not be subscribed"),
        ("lambda", "worker", "Lambda endpoint ARN"),
        ("http", "https://example.org", "Endpoint must match the specified protocol"),
        ("https", "http://example.org", "Endpoint must match the specified protocol"),
        ("http", "http://", "Endpoint must match the specified protocol"),
        ("email", "example.org", "Email address"),
        ("sms", "call me", "Invalid SMS endpoint: call me"),
        ("sms", "", "Endpoint"),
    ],
)
def test_endpoints_are_checked(sns, topic, protocol, endpoint, words):
    refused(sns.subscribe, "InvalidParameter", words, TopicArn=topic, Protocol=protocol, Endpoint=endpoint)


def test_a_fifo_topic_takes_queues_alone(sns):
    topic = sns.create_topic(Name="news.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]
    subscribe(sns, topic, "sqs", QUEUE)
    subscribe(sns, topic, "sqs", QUEUE + ".fifo")
    request = {"TopicArn": topic, "Protocol": "lambda", "Endpoint": FUNCTION}
    refused(sns.subscribe, "InvalidParameter", "FIFO topics", **request)


def test_attributes_of_a_subscription_are_set_and_taken_away(sns, topic):
    arn = subscribe(sns, topic)
    dead = json.dumps({"deadLetterTargetArn": QUEUE + "-dead"})
    for name, value in (
        ("RawMessageDelivery", "true"),
        ("FilterPolicyScope", "MessageBody"),
        ("FilterPolicy", '{"a":{"b":["c"]}}'),
        ("RedrivePolicy", dead),
    ):
        sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName=name, AttributeValue=value)
        assert attributes_of(sns, arn)[name] == value
    for name, value in (("RedrivePolicy", ""), ("FilterPolicy", "{}")):
        sns.set_subscription_attributes(SubscriptionArn=arn, AttributeName=name, AttributeValue=value)
        assert name not in attributes_of(sns, arn)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Colour", "red"),
        ("RawMessageDelivery", "yes"),
        ("FilterPolicyScope", "Everything"),
        ("FilterPolicy", "[]"),
        ("FilterPolicy", '{"a":{"b":["c"]}}'),
        ("DeliveryPolicy", '{"healthyRetryPolicy":{}}'),
        ("RedrivePolicy", "{}"),
        ("RedrivePolicy", '{"deadLetterTargetArn":"orders"}'),
        ("RedrivePolicy", '{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead.fifo"}'),
        ("RedrivePolicy", '{"deadLetterTargetArn":"arn:aws:sqs:eu-west-1:000000000000:dead"}'),
        ("RedrivePolicy", '{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:111111111111:dead"}'),
    ],
)
def test_attributes_of_a_subscription_are_checked(sns, topic, name, value):
    arn = subscribe(sns, topic)
    request = {"SubscriptionArn": arn, "AttributeName": name, "AttributeValue": value}
    refused(sns.set_subscription_attributes, "InvalidParameter", **request)
    other = {"TopicArn": topic, "Protocol": "sqs", "Endpoint": QUEUE + "2", "Attributes": {name: value}}
    refused(sns.subscribe, "InvalidParameter", **other)
    assert len(sns.list_subscriptions()["Subscriptions"]) == 1


def test_subscription_settings_that_are_not_honoured_are_refused_by_name(sns, topic):
    arn = subscribe(sns, topic)
    for name in ("SubscriptionRoleArn", "ReplayPolicy"):
        request = {"SubscriptionArn": arn, "AttributeName": name, "AttributeValue": ROLE}
        refused(sns.set_subscription_attributes, "NotImplemented", name, **request)


@pytest.mark.parametrize("arn", ["news", "arn:aws:sns:us-east-1:000000000000:news"])
def test_an_arn_that_is_no_subscriptions_is_invalid(sns, arn):
    refused(sns.get_subscription_attributes, "InvalidParameter", "elements, not", SubscriptionArn=arn)
    refused(sns.unsubscribe, "InvalidParameter", "elements, not", SubscriptionArn=arn)


def test_subscriptions_come_in_pages_of_a_hundred(sns, topic):
    other = sns.create_topic(Name="other")["TopicArn"]
    for n in range(101):
        subscribe(sns, topic, endpoint=f"{QUEUE}{n}")
    subscribe(sns, other)
    pages = list(sns.get_paginator("list_subscriptions").paginate())
    assert [len(page["Subscriptions"]) for page in pages] == [100, 2]
    assert len({each["SubscriptionArn"] for page in pages for each in page["Subscriptions"]}) == 102
    pages = list(sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic))
    assert [len(page["Subscriptions"]) for page in pages] == [100, 1]
    assert {each["Endpoint"] for page in pages for each in page["Subscriptions"]} == {f"{QUEUE}{n}" for n in range(101)}


def test_deleting_a_topic_ends_its_subscriptions(sns, topic):
    arn = subscribe(sns, topic)
    sns.delete_topic(TopicArn=topic)
    assert sns.list_subscriptions()["Subscriptions"] == []
    refused(sns.get_subscription_attributes, "NotFound", SubscriptionArn=arn)
    assert sns.create_topic(Name="news")["TopicArn"] == topic
    assert sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == []


def test_an_account_sees_the_subscriptions_it_owns_and_a_topic_all_of_them(aws, sns, topic):
    other = aws("sns", aws_access_key_id="111111111111")
    subscribe(other, topic, "lambda", FUNCTION)
    assert sns.list_subscriptions()["Subscriptions"] == []
    assert len(other.list_subscriptions()["Subscriptions"]) == 1
    assert len(sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]) == 1


# quotas


def test_an_account_has_a_thousand_fifo_and_a_hundred_thousand_standard_topics(cloud, sns):
    put(
        cloud,
        (count_key(ACCOUNT, "us-east-1", "fifo"), 999),
        (count_key(ACCOUNT, "us-east-1", "standard"), 99_999),
    )
    sns.create_topic(Name="a.fifo", Attributes={"FifoTopic": "true"})
    refused(sns.create_topic, "TopicLimitExceeded", Name="b.fifo", Attributes={"FifoTopic": "true"})
    arn = sns.create_topic(Name="a")["TopicArn"]
    refused(sns.create_topic, "TopicLimitExceeded", Name="b")
    sns.delete_topic(TopicArn=arn)
    sns.create_topic(Name="b")


def test_a_fifo_topic_has_a_hundred_subscriptions(sns):
    topic = sns.create_topic(Name="news.fifo", Attributes={"FifoTopic": "true"})["TopicArn"]
    for n in range(100):
        subscribe(sns, topic, endpoint=f"{QUEUE}{n}.fifo")
    request = {"TopicArn": topic, "Protocol": "sqs", "Endpoint": QUEUE}
    refused(sns.subscribe, "SubscriptionLimitExceeded", **request)


def test_a_standard_topic_has_12_500_000_subscriptions(cloud, sns, topic):
    def filled(found):
        return Topic(**{name: getattr(found, name) for name in found.__struct_fields__} | {"confirmed": 12_499_999})

    put(cloud, (topic_key(ACCOUNT, "us-east-1", "news"), filled))
    subscribe(sns, topic)
    refused(sns.subscribe, "SubscriptionLimitExceeded", TopicArn=topic, Protocol="lambda", Endpoint=FUNCTION)


def test_an_account_has_five_thousand_pending_subscriptions(cloud, sns, topic):
    put(cloud, (count_key(ACCOUNT, "us-east-1", "pending"), 4_999))
    sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="a@example.org")
    request = {"TopicArn": topic, "Protocol": "email", "Endpoint": "b@example.org"}
    refused(sns.subscribe, "SubscriptionLimitExceeded", **request)
    subscribe(sns, topic)  # confirmed ones are not counted


def test_a_topic_has_200_filter_policies(sns, topic):
    for n in range(200):
        subscribe(sns, topic, endpoint=f"{QUEUE}{n}", FilterPolicy='{"a":["b"]}')
    arn = subscribe(sns, topic, "lambda", FUNCTION)
    request = {"SubscriptionArn": arn, "AttributeName": "FilterPolicy", "AttributeValue": '{"a":["b"]}'}
    refused(sns.set_subscription_attributes, "FilterPolicyLimitExceeded", **request)
    first = subscribe(sns, topic, endpoint=f"{QUEUE}0")
    changed = {"SubscriptionArn": first, "AttributeName": "FilterPolicy", "AttributeValue": '{"a":["c"]}'}
    sns.set_subscription_attributes(**changed)  # a policy for a policy is no more
    sns.unsubscribe(SubscriptionArn=first)
    sns.set_subscription_attributes(**request)


def test_an_account_has_ten_thousand_filter_policies(cloud, sns, topic):
    put(cloud, (count_key(ACCOUNT, "us-east-1", "filters"), 9_999))
    subscribe(sns, topic, FilterPolicy='{"a":["b"]}')
    request = {"TopicArn": topic, "Protocol": "lambda", "Endpoint": FUNCTION}
    refused(sns.subscribe, "FilterPolicyLimitExceeded", **request, Attributes={"FilterPolicy": '{"a":["b"]}'})


def test_a_topic_with_large_messages_has_a_hundred_queues_and_functions(sns, topic):
    larger = {"TopicArn": topic, "AttributeName": "MaximumMessageSize", "AttributeValue": "262145"}
    email = sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="a@example.org", ReturnSubscriptionArn=True)
    refused(sns.set_topic_attributes, "InvalidParameter", "MaximumMessageSize", **larger)
    sns.unsubscribe(SubscriptionArn=email["SubscriptionArn"])
    for n in range(100):
        subscribe(sns, topic, endpoint=f"{QUEUE}{n}")
    sns.set_topic_attributes(**larger)
    one_more = {"TopicArn": topic, "Protocol": "sqs", "Endpoint": QUEUE}
    refused(sns.subscribe, "InvalidParameter", "100 or fewer", **one_more)
    sns.set_topic_attributes(**{**larger, "AttributeValue": "262144"})
    sns.subscribe(**one_more)
    refused(sns.set_topic_attributes, "InvalidParameter", "100 or fewer", **larger)
