"""Stand-ins for the services and endpoints that SNS delivers to: they remember what they get and fail when told to."""

from __future__ import annotations

import msgspec

from cumulet.aws.errors import GenericAwsError
from cumulet.aws.http import HttpReply
from cumulet.kernel.outcome import EffectFailed
from cumulet.kernel.service import Service
from cumulet.services.sns import SERVICE
from cumulet.testing.inprocess import InProcess

ACCOUNT, REGION = "000000000000", "us-east-1"


def queue_arn(name):
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"


def function_arn(name):
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"


class Neighbours:
    """`fail["orders"] = [(code, status), ...]` fails the next deliveries to orders; a str instead of a list fails all of them."""

    def __init__(self):
        self.got = {}  # name -> [(time, request)]
        self.fail = {}
        self.logged = []  # (group, entry)
        self.points = {}  # metric -> sum
        self.posts = []  # (time, HttpCall)
        self.replies = []  # for posts, in order; then 200

    def _deliver(self, ctx, name, request):
        failures = self.fail.get(name)
        if isinstance(failures, tuple):
            raise GenericAwsError(failures[0], "told to fail", failures[1])
        if failures:
            code, status = failures.pop(0)
            raise GenericAwsError(code, "told to fail", status)
        self.got.setdefault(name, []).append((ctx.now, dict(request)))

    def send_message(self, ctx, request):
        self._deliver(ctx, request["QueueUrl"].rsplit("/", 1)[1], request)
        return {"MessageId": ctx.ids.uuid()}

    def invoke(self, ctx, request):
        assert request["InvocationType"] == "Event"
        self._deliver(ctx, request["FunctionName"].rsplit(":", 1)[1], request)
        return {"StatusCode": 202}

    def append(self, ctx, request):
        for _, line in request["events"]:
            self.logged.append((request["logGroupName"], msgspec.json.decode(line)))
        return {}

    def points_of(self, ctx, request):
        for point in request["Points"]:
            assert point["Namespace"] == "AWS/SNS"
            total = sum(value * count for value, count in point["Values"].items())
            self.points[point["MetricName"]] = self.points.get(point["MetricName"], 0) + total
        return {"More": False}

    async def post(self, span, call):
        self.posts.append((self.cloud.clock.now(), call))
        reply = self.replies.pop(0) if self.replies else 200
        if isinstance(reply, EffectFailed):
            raise reply
        return HttpReply(reply, {}, b"answer")

    def services(self):
        return [
            SERVICE,
            Service("sqs", internals={"SendMessage": self.send_message, "cumulet:SendMessage": self.send_message}),
            Service("lambda", internals={"Invoke": self.invoke}),
            Service("logs", internals={"cumulet:Append": self.append}),
            Service("cloudwatch", internals={"cumulet:Points": self.points_of}),
        ]

    def open(self, folder=None):
        self.cloud = InProcess(
            self.services(),
            performers={"http": self.post},
            folder=folder,
            metrics=("cloudwatch", "cumulet:Points"),
        )
        return self.cloud

    def bodies(self, name):
        return [request["MessageBody"] for _, request in self.got.get(name, [])]

    def times(self, name, since):
        return [at - since for at, _ in self.got.get(name, [])]


async def topic_with(cloud, *endpoints, fifo=False, **attributes):
    """(topic ARN, subscription ARNs) for (protocol, endpoint, attributes) triples."""
    name = "news.fifo" if fifo else "news"
    given = {**({"FifoTopic": "true"} if fifo else {}), **attributes}
    topic = (await cloud.call("sns", "CreateTopic", {"Name": name, "Attributes": given}))["TopicArn"]
    arns = []
    for protocol, endpoint, extra in endpoints:
        request = {"TopicArn": topic, "Protocol": protocol, "Endpoint": endpoint, "Attributes": extra}
        arns.append(
            (await cloud.call("sns", "Subscribe", {**request, "ReturnSubscriptionArn": True}))["SubscriptionArn"]
        )
    return topic, arns
