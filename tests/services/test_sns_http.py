"""HTTP endpoints of SNS: a real server that confirms, verifies signatures as the field's validators do, and leaves."""

import base64
import hashlib
import http.server
import json
import queue
import threading
import urllib.error
import urllib.request

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding


class Endpoint:
    """An HTTP server that keeps what is posted to it and answers as told."""

    def __init__(self):
        self.posts = queue.Queue()
        self.statuses = []
        endpoint = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                endpoint.posts.put((dict(self.headers.items()), body))
                self.send_response(endpoint.statuses.pop(0) if endpoint.statuses else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/in?a=b"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def next(self):
        """(headers, document) of the next post, within ten seconds."""
        headers, body = self.posts.get(timeout=60)
        return headers, json.loads(body)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def endpoint():
    made = Endpoint()
    yield made
    made.close()


@pytest.fixture
def sns(aws):
    return aws("sns")


@pytest.fixture
def topic(sns):
    return sns.create_topic(Name="news")["TopicArn"]


def opened(url):
    with urllib.request.urlopen(url) as answer:
        return answer.read()


def verify(message):
    """Verify a message as AWS's documentation says. Raises: InvalidSignature."""
    if message["Type"] == "Notification":
        names = ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"]
    else:
        names = ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
    text = "".join(f"{name}\n{message[name]}\n" for name in names if name in message)
    assert message["SigningCertURL"].endswith(".pem")
    key = x509.load_pem_x509_certificate(opened(message["SigningCertURL"])).public_key()
    digest = {"1": hashes.SHA1(), "2": hashes.SHA256()}[message["SignatureVersion"]]
    key.verify(base64.b64decode(message["Signature"]), text.encode(), padding.PKCS1v15(), digest)


def subscribed(cloud, sns, topic, endpoint, **attributes):
    """A confirmed subscription's ARN."""
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=endpoint.url, Attributes=attributes)
    cloud.quiet()
    _, asked = endpoint.next()
    opened(asked["SubscribeURL"])
    [found] = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    return found["SubscriptionArn"]


@pytest.mark.parametrize("version", ["1", "2"])
def test_an_endpoint_confirms_and_gets_signed_notifications(cloud, sns, topic, endpoint, version):
    sns.set_topic_attributes(TopicArn=topic, AttributeName="SignatureVersion", AttributeValue=version)
    answer = sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=endpoint.url)
    assert answer["SubscriptionArn"] == "pending confirmation"
    cloud.quiet()
    headers, asked = endpoint.next()
    assert headers["x-amz-sns-message-type"] == asked["Type"] == "SubscriptionConfirmation"
    assert headers["x-amz-sns-topic-arn"] == asked["TopicArn"] == topic
    assert headers["Content-Type"] == "text/plain; charset=UTF-8"
    assert asked["Message"] == (
        f"You have chosen to subscribe to the topic {topic}.\nTo confirm the subscription, visit the SubscribeURL included in "
        "this message."
    )
    assert asked["SignatureVersion"] == version
    verify(asked)
    sns.publish(TopicArn=topic, Message="too early")
    assert f"<SubscriptionArn>{topic}:" in opened(asked["SubscribeURL"]).decode()
    [found] = sns.list_subscriptions()["Subscriptions"]
    attributes = {"a": {"DataType": "String", "StringValue": "x"}}
    sent = sns.publish(TopicArn=topic, Message="caf\u00e9\n", Subject="S", MessageAttributes=attributes)
    cloud.quiet()
    headers, got = endpoint.next()
    assert headers["x-amz-sns-message-type"] == got["Type"] == "Notification"
    assert headers["x-amz-sns-message-id"] == got["MessageId"] == sent["MessageId"]
    assert headers["x-amz-sns-subscription-arn"] == found["SubscriptionArn"]
    assert "x-amz-sns-rawdelivery" not in headers
    assert (got["Message"], got["Subject"]) == ("caf\u00e9\n", "S")
    assert got["MessageAttributes"] == {"a": {"Type": "String", "Value": "x"}}
    verify(got)
    sns.publish(TopicArn=topic, Message="without a subject")
    cloud.quiet()
    _, got = endpoint.next()
    assert "Subject" not in got and "MessageAttributes" not in got
    verify(got)


def test_a_forged_message_does_not_verify(cloud, sns, topic, endpoint):
    from cryptography.exceptions import InvalidSignature

    subscribed(cloud, sns, topic, endpoint)
    sns.publish(TopicArn=topic, Message="true")
    cloud.quiet()
    _, got = endpoint.next()
    with pytest.raises(InvalidSignature):
        verify({**got, "Message": "false"})


@pytest.mark.parametrize("length", [10, 5_000, 100_000])
def test_a_queues_message_is_signed_whenever_and_wherever_it_is_read(aws, cloud, sns, topic, length):
    """Received twice, looked at, moved to the dead-letter queue, and in a second queue: always the same signature, and its MD5."""
    sqs = aws("sqs")
    dead, second = (sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("dead", "second"))
    policy = {"deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:dead", "maxReceiveCount": 2}
    first = sqs.create_queue(QueueName="first", Attributes={"RedrivePolicy": json.dumps(policy)})["QueueUrl"]
    for name in ("first", "second"):
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:us-east-1:000000000000:{name}")
    sns.publish(TopicArn=topic, Message="\u00e9" * length)
    question = json.dumps({"QueueArn": "arn:aws:sqs:us-east-1:000000000000:first"}).encode()
    peeked = json.loads(opened(urllib.request.Request(f"{cloud.endpoint}/_cumulet/call/sqs/cumulet:Peek", question)))
    read = [sqs.receive_message(QueueUrl=url, VisibilityTimeout=0) for url in (first, first, first, dead, second)]
    found = peeked["Messages"] + [message for answer in read for message in answer.get("Messages", [])]
    assert len(found) == 5
    envelopes = [json.loads(message["Body"]) for message in found]
    assert len({envelope["Signature"] for envelope in envelopes}) == 1
    verify(envelopes[0])
    for message in found:
        assert message["MD5OfBody"] == hashlib.md5(message["Body"].encode()).hexdigest()


def test_messages_in_queues_are_signed_with_a_key_of_their_own(aws, cloud, sns, topic, endpoint):
    sqs = aws("sqs")
    url = sqs.create_queue(QueueName="orders")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    subscribed(cloud, sns, topic, endpoint)
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    sns.publish(TopicArn=topic, Message="x", Subject="y")
    cloud.quiet()
    _, by_http = endpoint.next()
    by_queue = json.loads(sqs.receive_message(QueueUrl=url)["Messages"][0]["Body"])
    verify(by_queue)
    different = {name for name in by_http if by_http[name] != by_queue[name]}
    assert different == {"UnsubscribeURL", "SigningCertURL", "Signature"}
    sizes = [
        x509.load_pem_x509_certificate(opened(message["SigningCertURL"])).public_key().key_size
        for message in (by_http, by_queue)
    ]
    assert sizes == [2048, 1024]


def test_a_token_confirms_by_the_api_too_and_may_guard_the_subscription(cloud, sns, topic, endpoint):
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=endpoint.url)
    cloud.quiet()
    _, asked = endpoint.next()
    request = {"TopicArn": topic, "Token": asked["Token"], "AuthenticateOnUnsubscribe": "true"}
    arn = sns.confirm_subscription(**request)["SubscriptionArn"]
    assert sns.confirm_subscription(**request)["SubscriptionArn"] == arn
    assert sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]["ConfirmationWasAuthenticated"] == "true"
    sns.publish(TopicArn=topic, Message="x")
    cloud.quiet()
    _, got = endpoint.next()
    with pytest.raises(urllib.error.HTTPError) as error:
        opened(got["UnsubscribeURL"])
    assert error.value.code == 403
    error.value.close()
    sns.unsubscribe(SubscriptionArn=arn)
    assert sns.list_subscriptions()["Subscriptions"] == []


def test_a_link_in_awss_own_form_confirms_too(cloud, sns, topic, endpoint):
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=endpoint.url)
    cloud.quiet()
    _, asked = endpoint.next()
    answer = opened(f"{cloud.endpoint}/?Action=ConfirmSubscription&TopicArn={topic}&Token={asked['Token']}").decode()
    [found] = sns.list_subscriptions()["Subscriptions"]
    assert found["SubscriptionArn"] in answer
    shown = sns.get_subscription_attributes(SubscriptionArn=found["SubscriptionArn"])["Attributes"]
    assert shown["ConfirmationWasAuthenticated"] == "false"
    opened(f"{cloud.endpoint}/?Action=Unsubscribe&SubscriptionArn={found['SubscriptionArn']}")
    assert sns.list_subscriptions()["Subscriptions"] == []


def test_an_endpoint_leaves_by_its_link_and_may_come_back(cloud, sns, topic, endpoint):
    arn = subscribed(cloud, sns, topic, endpoint, FilterPolicy='{"a":[{"exists":false}]}')
    sns.publish(TopicArn=topic, Message="x", MessageAttributes={"b": {"DataType": "String", "StringValue": "y"}})
    cloud.quiet()
    _, got = endpoint.next()
    opened(got["UnsubscribeURL"])
    assert sns.list_subscriptions()["Subscriptions"] == []
    cloud.quiet()
    headers, goodbye = endpoint.next()
    assert headers["x-amz-sns-message-type"] == goodbye["Type"] == "UnsubscribeConfirmation"
    assert headers["x-amz-sns-subscription-arn"] == arn
    assert goodbye["Message"].startswith(f"You have chosen to deactivate subscription {arn}.\n")
    verify(goodbye)
    opened(goodbye["SubscribeURL"])
    [back] = sns.list_subscriptions()["Subscriptions"]
    assert back["Endpoint"] == endpoint.url
    shown = sns.get_subscription_attributes(SubscriptionArn=back["SubscriptionArn"])["Attributes"]
    assert shown["FilterPolicy"] == '{"a":[{"exists":false}]}'


def test_the_owner_unsubscribes_without_a_farewell_and_another_account_with_one(aws, cloud, sns, topic, endpoint):
    arn = subscribed(cloud, sns, topic, endpoint)
    sns.unsubscribe(SubscriptionArn=arn)
    cloud.quiet()
    assert endpoint.posts.empty()
    arn = subscribed(cloud, sns, topic, endpoint)
    aws("sns", aws_access_key_id="111111111111").unsubscribe(SubscriptionArn=arn)
    cloud.quiet()
    assert endpoint.next()[1]["Type"] == "UnsubscribeConfirmation"


def test_a_confirmation_is_good_for_two_days_and_the_subscription_ends_with_it(cloud, clock, sns, topic, endpoint):
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=endpoint.url)
    cloud.quiet()
    _, first = endpoint.next()
    sns.subscribe(TopicArn=topic, Protocol="http", Endpoint=endpoint.url)
    cloud.quiet()
    _, second = endpoint.next()
    assert first["Token"] != second["Token"]
    for token in (first["Token"], "none"):
        with pytest.raises(ClientError) as error:
            sns.confirm_subscription(TopicArn=topic, Token=token)
        assert error.value.response["Error"]["Code"] == "InvalidParameter"
    [pending] = sns.list_subscriptions()["Subscriptions"]
    assert pending["SubscriptionArn"] == "PendingConfirmation"
    clock.advance(172_799)
    assert sns.get_topic_attributes(TopicArn=topic)["Attributes"]["SubscriptionsPending"] == "1"
    clock.advance(1)
    assert sns.list_subscriptions()["Subscriptions"] == []
    assert sns.get_topic_attributes(TopicArn=topic)["Attributes"]["SubscriptionsPending"] == "0"
    with pytest.raises(ClientError):
        sns.confirm_subscription(TopicArn=topic, Token=second["Token"])


def test_a_failing_endpoint_is_retried_with_the_same_message(cloud, clock, sns, topic, endpoint):
    subscribed(cloud, sns, topic, endpoint)
    endpoint.statuses = [503, 500]
    sns.publish(TopicArn=topic, Message="x")
    clock.advance(40)
    posts = [endpoint.next() for _ in range(3)]
    assert endpoint.posts.empty()
    assert posts[0] == posts[1] == posts[2]


def test_a_dead_endpoints_messages_end_in_the_dead_letter_queue(aws, cloud, clock, sns, topic, endpoint):
    sqs = aws("sqs")
    url = sqs.create_queue(QueueName="dead")["QueueUrl"]
    policy = json.dumps({"deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:dead"})
    subscribed(cloud, sns, topic, endpoint, RedrivePolicy=policy)
    endpoint.close()
    sns.publish(TopicArn=topic, Message="x")
    clock.advance(59)
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    clock.advance(1)
    [message] = sqs.receive_message(QueueUrl=url, MessageAttributeNames=["All"])["Messages"]
    assert json.loads(message["Body"])["Message"] == "x"
    assert message["MessageAttributes"]["ErrorCode"]["StringValue"] == "ConnectionFailed"


def test_a_queue_of_another_account_confirms_through_the_queue(aws, sns, topic):
    other = aws("sqs", aws_access_key_id="111111111111")
    url = other.create_queue(QueueName="orders")["QueueUrl"]
    arn = "arn:aws:sqs:us-east-1:111111111111:orders"
    assert sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)["SubscriptionArn"] == "pending confirmation"
    asked = json.loads(other.receive_message(QueueUrl=url)["Messages"][0]["Body"])
    verify(asked)
    opened(asked["SubscribeURL"])
    sns.publish(TopicArn=topic, Message="x")
    found = [json.loads(message["Body"]) for message in other.receive_message(QueueUrl=url)["Messages"]]
    assert [message["Message"] for message in found] == ["x"]


def test_the_certificate_is_made_once_and_kept(server_process):
    import boto3

    def certificate(server):
        client = {"region_name": "us-east-1", "endpoint_url": server.endpoint}
        sns, sqs = boto3.client("sns", **client), boto3.client("sqs", **client)
        topic = sns.create_topic(Name="news")["TopicArn"]
        url = sqs.create_queue(QueueName="orders")["QueueUrl"]
        sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:000000000000:orders")
        sns.publish(TopicArn=topic, Message="x")
        message = json.loads(sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1)["Messages"][0]["Body"])
        verify(message)
        return hashlib.sha256(opened(message["SigningCertURL"])).hexdigest()

    server = server_process().start()
    before = certificate(server)
    server.kill()
    assert certificate(server.start()) == before


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/_aws/sns/SimpleNotificationService-00000000000000000000000000000000.pem", 404),
        ("GET", "/_aws/sns/us-east-1", 400),
        ("GET", "/_aws/sns/us-east-1?Action=DeleteTopic&TopicArn=x", 400),
        ("GET", "/_aws/sns/us-east-1?Action=ConfirmSubscription&TopicArn=x&Token=y", 400),
        ("GET", "/_aws/sns/us-east-1?Action=Unsubscribe&SubscriptionArn=x", 400),
        ("POST", "/_aws/sns/us-east-1?Action=Unsubscribe", 405),
        ("HEAD", "/_aws/sns/us-east-1?Action=Unsubscribe", 405),
    ],
)
def test_other_links_are_refused(cloud, method, path, status):
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(urllib.request.Request(cloud.endpoint + path, method=method))
    assert error.value.code == status
    error.value.close()
