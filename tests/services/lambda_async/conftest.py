"""Functions, queues and logs for the tests of queued events."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.services.lambda_async.calls import ROLE, packed


@pytest.fixture
def client(aws):
    return aws("lambda")


@pytest.fixture
def create(client):
    def make(code, name="f", **settings):
        settings = {"Runtime": "python3.12", "Role": ROLE, "Handler": "index.handler", "Timeout": 20, **settings}
        return client.create_function(FunctionName=name, Code={"ZipFile": packed(code)}, **settings)

    return make


@pytest.fixture
def queue(aws):
    """Makes a queue: (its ARN, a function that takes its messages)."""

    def make(name):
        sqs = aws("sqs")
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

        def take():
            found = []
            while True:
                got = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"],
                                          AttributeNames=["All"]).get("Messages", [])  # fmt: skip
                if not got:
                    return found
                found += got
                for message in got:
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

        return arn, take

    return make


@pytest.fixture
def messages(aws):
    """The log messages of a function, oldest first."""

    def read(name="f"):
        logs = aws("logs")
        try:
            pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{name}")
            return [event["message"].strip() for page in pages for event in page["events"]]
        except logs.exceptions.ResourceNotFoundException:
            return []

    return read


@pytest.fixture
def send(client):
    """Queues an event; returns its request id."""

    def invoke(payload, name="f", **more):
        body = payload if isinstance(payload, bytes) else json.dumps(payload)
        answer = client.invoke(FunctionName=name, Payload=body, InvocationType="Event", **more)
        assert answer["StatusCode"] == 202
        return answer["ResponseMetadata"]["RequestId"]

    return invoke


@pytest.fixture
def gate():
    """A door outside: a function tells that it has begun, and goes on when it is let go."""
    begun, go, most, inside, lock = threading.Semaphore(0), threading.Event(), [0], [0], threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            begun.release()
            go.wait(60)
            with lock:
                inside[0] -= 1
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    class Gate:
        code = (f"import urllib.request\ndef handler(event, context):\n"
                f"    urllib.request.urlopen('http://127.0.0.1:{server.server_port}/').close()\n"
                f"    print('passed', event)\n    return 'passed'\n")  # fmt: skip

        def await_one(self):
            assert begun.acquire(timeout=60)

        def let_go(self):
            go.set()

        def most_at_once(self):
            return most[0]

    yield Gate()
    go.set()
    server.shutdown()
    server.server_close()
