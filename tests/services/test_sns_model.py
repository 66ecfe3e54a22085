"""SNS's topics, subscriptions and fan-out against a model in plain dicts."""

import asyncio
import json

from hypothesis import given, settings
from hypothesis import strategies as st

from cumulet.aws.errors import AwsError
from cumulet.services.sns.model import ROOT, count_key

from .sns_neighbours import ACCOUNT, REGION, Neighbours, queue_arn

TOPICS, QUEUES, KINDS = ("news", "orders"), ("q1", "q2", "q3"), ("a", "b")
TOPIC, QUEUE, KIND = st.sampled_from(TOPICS), st.sampled_from(QUEUES), st.sampled_from(KINDS)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("create"), TOPIC),
        st.tuples(st.just("delete"), TOPIC),
        st.tuples(st.just("subscribe"), TOPIC, QUEUE, st.one_of(st.none(), KIND)),
        st.tuples(st.just("email"), TOPIC, st.sampled_from(["a@example.org", "b@example.org"])),
        st.tuples(st.just("unsubscribe"), TOPIC, QUEUE),
        st.tuples(st.just("filter"), TOPIC, QUEUE, st.one_of(st.none(), KIND)),
        st.tuples(st.just("publish"), TOPIC, KIND),
        st.tuples(st.just("publish"), TOPIC, KIND),
        st.tuples(st.just("later"), st.sampled_from([60, 100_000, 172_800])),
    ),
    max_size=30,
)


def policy(kind):
    return json.dumps({"kind": [kind]})


class Scene:
    """The cloud and its model: topic -> {"queues": {queue: filter}, "emails": {address: until}}."""

    def __init__(self, cloud, neighbours):
        self.cloud, self.neighbours = cloud, neighbours
        self.topics, self.got, self.arns, self.number = {}, {}, {}, 0

    def arn(self, topic):
        return f"arn:aws:sns:{REGION}:{ACCOUNT}:{topic}"

    async def call(self, operation, **request):
        return await self.cloud.call("sns", operation, request)

    async def refused(self, operation, **request):
        try:
            await self.call(operation, **request)
        except AwsError as error:
            assert error.wire_code == "NotFound"
        else:
            raise AssertionError(f"{operation} of a topic that is not there")

    async def create(self, topic):
        await self.call("CreateTopic", Name=topic)
        self.topics.setdefault(topic, {"queues": {}, "emails": {}})

    async def delete(self, topic):
        await self.call("DeleteTopic", TopicArn=self.arn(topic))
        self.topics.pop(topic, None)

    async def subscribe(self, topic, queue, kind):
        request = {"TopicArn": self.arn(topic), "Protocol": "sqs", "Endpoint": queue_arn(queue)}
        request["Attributes"] = {"RawMessageDelivery": "true"}
        if topic not in self.topics:
            await self.refused("Subscribe", **request)
            return
        if queue not in self.topics[topic]["queues"]:
            if kind:
                request["Attributes"]["FilterPolicy"] = policy(kind)
            self.topics[topic]["queues"][queue] = kind
        self.arns[topic, queue] = (await self.call("Subscribe", **request))["SubscriptionArn"]

    async def email(self, topic, address):
        request = {"TopicArn": self.arn(topic), "Protocol": "email", "Endpoint": address}
        if topic not in self.topics:
            await self.refused("Subscribe", **request)
            return
        await self.call("Subscribe", **request)
        self.topics[topic]["emails"][address] = self.cloud.clock.now() + 172_800

    async def unsubscribe(self, topic, queue):
        if (topic, queue) in self.arns:
            await self.call("Unsubscribe", SubscriptionArn=self.arns[topic, queue])
            if topic in self.topics:
                self.topics[topic]["queues"].pop(queue, None)

    async def filter(self, topic, queue, kind):
        if queue not in self.topics.get(topic, {"queues": {}})["queues"]:
            return
        value = policy(kind) if kind else "{}"
        arn = self.arns[topic, queue]
        await self.call(
            "SetSubscriptionAttributes", SubscriptionArn=arn, AttributeName="FilterPolicy", AttributeValue=value
        )
        self.topics[topic]["queues"][queue] = kind

    async def publish(self, topic, kind):
        self.number += 1
        attributes = {"kind": {"DataType": "String", "StringValue": kind}}
        request = {"TopicArn": self.arn(topic), "Message": str(self.number), "MessageAttributes": attributes}
        if topic not in self.topics:
            await self.refused("Publish", **request)
            return
        await self.call("Publish", **request)
        for queue, wanted in self.topics[topic]["queues"].items():
            if wanted in (None, kind):
                self.got.setdefault(queue, []).append(str(self.number))

    async def later(self, seconds):
        await self.cloud.advance(seconds)
        for topic in self.topics.values():
            topic["emails"] = {to: until for to, until in topic["emails"].items() if until > self.cloud.clock.now()}

    async def compare(self):
        listed = await self.call("ListTopics")
        assert {topic["TopicArn"] for topic in listed["Topics"]} == {self.arn(topic) for topic in self.topics}
        everything = (await self.call("ListSubscriptions"))["Subscriptions"]
        expected = set()
        for topic, state in self.topics.items():
            mine = {(topic, "sqs", queue_arn(queue)) for queue in state["queues"]}
            mine |= {(topic, "email", address) for address in state["emails"]}
            expected |= mine
            found = (await self.call("ListSubscriptionsByTopic", TopicArn=self.arn(topic)))["Subscriptions"]
            assert {(topic, each["Protocol"], each["Endpoint"]) for each in found} == mine
            shown = (await self.call("GetTopicAttributes", TopicArn=self.arn(topic)))["Attributes"]
            counts = (shown["SubscriptionsConfirmed"], shown["SubscriptionsPending"])
            assert counts == (str(len(state["queues"])), str(len(state["emails"])))
        shown = {(each["TopicArn"].rsplit(":", 1)[1], each["Protocol"], each["Endpoint"]) for each in everything}
        assert shown == expected
        self.compare_rows()

    def compare_rows(self):
        tx = self.cloud.store.begin(None)
        assert {queue: self.neighbours.bodies(queue) for queue in self.got} == self.got
        states = list(self.topics.values())
        filters = sum(1 for state in states for kind in state["queues"].values() if kind)
        assert tx.counter(count_key(ACCOUNT, REGION, "filters")) == filters
        assert tx.counter(count_key(ACCOUNT, REGION, "pending")) == sum(len(state["emails"]) for state in states)
        assert tx.counter(count_key(ACCOUNT, REGION, "standard")) == len(states)
        subscriptions = sum(len(state["queues"]) + len(state["emails"]) for state in states)
        for index in ("sub", "endpoint", "owned"):
            assert len(list(tx.scan_keys((ROOT, index)))) == subscriptions, index
        assert list(tx.scan_keys((ROOT, "delivery"))) == []


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_topics_and_subscriptions_do_what_the_model_says(steps):
    async def scene():
        neighbours = Neighbours()
        async with neighbours.open() as cloud:
            running = Scene(cloud, neighbours)
            await running.create("news")
            for name, *arguments in steps:
                await getattr(running, name)(*arguments)
            await running.compare()
            await running.later(172_800)
            await running.compare()
            assert not list(cloud.store.begin(None).scan_keys((ROOT, "token")))

    asyncio.run(scene())
