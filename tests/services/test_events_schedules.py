"""Scheduled rules, archives and replays, on virtual time."""

import json

import pytest
from botocore.exceptions import ClientError
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cumulet.kernel.service import Service
from cumulet.services import events
from cumulet.testing.inprocess import InProcess

BUS_ARN = "arn:aws:events:us-east-1:000000000000:event-bus/"
RULE_ARN = "arn:aws:events:us-east-1:000000000000:rule/"
DAY = 86_400


@pytest.fixture
def client(aws):
    return aws("events")


@pytest.fixture
def got(aws):
    """A queue as a target: its ARN, and what came since one last looked."""
    sqs = aws("sqs")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]

    class Got:
        target = {"Id": "1", "Arn": "arn:aws:sqs:us-east-1:000000000000:q"}  # noqa: RUF012

        def __call__(self):
            found = []
            while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
                found += [json.loads(message["Body"]) for message in messages]
                for message in messages:
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            return sorted(found, key=lambda event: event.get("time", ""))

    return Got()


def refused(action, **request):
    with pytest.raises(ClientError) as caught:
        action(**request)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def entry(n, source="app", **more):
    return {"Source": source, "DetailType": "t", "Detail": json.dumps({"n": n}), **more}


def schedule(client, got, expression, name="s", **more):
    client.put_rule(Name=name, ScheduleExpression=expression, **more)
    client.put_targets(Rule=name, Targets=[got.target])


# schedules


def test_a_rule_runs_every_minute_from_its_creation(client, got, clock):
    """B8.1: rate(1 minute) fires every minute, on virtual time too."""
    schedule(client, got, "rate(1 minute)")
    clock.advance(59.9)
    assert got() == []
    clock.advance(0.1)
    (event,) = got()
    assert (event["detail-type"], event["source"], event["resources"]) == (
        "Scheduled Event",
        "aws.events",
        [f"{RULE_ARN}s"],
    )
    assert (event["detail"], event["account"], event["region"]) == ({}, "000000000000", "us-east-1")
    clock.advance(3600)
    times = [event["time"] for event in got()]
    assert len(times) == len(set(times)) == 60


def test_a_cron_rule_runs_at_its_minutes(client, got, clock):
    schedule(client, got, "cron(0/15 * * * ? *)")
    clock.advance(DAY)
    times = [event["time"] for event in got()]
    assert len(times) == 96
    assert {time[14:] for time in times} == {"00:00Z", "15:00Z", "30:00Z", "45:00Z"}


def test_a_disabled_rule_rests_and_an_enabled_one_keeps_its_beat(client, got, clock):
    schedule(client, got, "rate(10 minutes)")
    clock.advance(600)
    assert len(got()) == 1
    client.disable_rule(Name="s")
    clock.advance(3000)
    assert got() == []
    clock.advance(30)
    client.enable_rule(Name="s")
    clock.advance(569)
    assert got() == []
    clock.advance(1)
    assert len(got()) == 1


def test_a_changed_schedule_replaces_the_old_one(client, got, clock):
    schedule(client, got, "rate(1 minute)")
    clock.advance(30)
    client.put_rule(Name="s", ScheduleExpression="rate(1 hour)")
    clock.advance(3599)
    assert got() == []
    clock.advance(1)
    assert len(got()) == 1


def test_the_same_schedule_again_keeps_its_beat(client, got, clock):
    schedule(client, got, "rate(10 minutes)")
    clock.advance(300)
    client.put_rule(Name="s", ScheduleExpression="rate(10 minutes)", Description="changed")
    clock.advance(300)
    assert len(got()) == 1


def test_a_deleted_rule_is_not_woken_by_its_timer_nor_is_one_of_its_name(client, got, clock):
    schedule(client, got, "rate(1 minute)")
    client.remove_targets(Rule="s", Ids=["1"])
    client.delete_rule(Name="s")
    schedule(client, got, "rate(1 hour)")
    clock.advance(3599)
    assert got() == []
    clock.advance(1)
    assert len(got()) == 1


def test_a_rule_may_have_a_schedule_and_a_pattern(client, got, clock):
    schedule(client, got, "rate(1 hour)", EventPattern='{"source": ["app"]}')
    client.put_events(Entries=[entry(1)])
    clock.advance(3600)
    assert [event["detail-type"] for event in got()] == ["t", "Scheduled Event"]


def test_a_schedule_without_a_next_time_is_taken_and_never_runs(client, got, clock):
    schedule(client, got, "cron(0 0 1 1 ? 2020)")
    clock.advance(400 * DAY)
    assert got() == []


def test_a_scheduled_function_gets_the_targets_input(client, got, clock):
    client.put_rule(Name="s", ScheduleExpression="rate(1 minute)")
    client.put_targets(Rule="s", Targets=[{**got.target, "Input": '{"job": "clean"}'}])
    clock.advance(120)
    assert got() == [{"job": "clean"}] * 2


def test_each_firing_is_a_trace_of_its_own(client, got, clock, cloud):
    schedule(client, got, "rate(1 minute)")
    clock.advance(180)
    tracer = cloud.cloud.pipeline.tracer
    tops = [span for span in tracer.traces(100) if span["name"] == "timer events.schedule"]
    assert len({span["trace_id"] for span in tops}) == len(tops) == 3


class Schedules(RuleBasedStateMachine):
    """Rules that are put, switched and deleted, against a list of when each has to run."""

    def __init__(self):
        super().__init__()
        import asyncio

        self.loop = asyncio.new_event_loop()
        self.fired, self.expected, self.rules = [], [], {}

    @initialize()
    def begin(self):
        def send(ctx, req):
            self.fired.append((req["MessageBody"], ctx.now))
            return {}

        self.cloud = InProcess([events.SERVICE, Service("sqs", internals={"SendMessage": send})])
        self.loop.run_until_complete(self.cloud.__aenter__())

    def call(self, operation, **request):
        return self.loop.run_until_complete(self.cloud.call("events", operation, request))

    @rule(name=st.sampled_from("ab"), minutes=st.integers(2, 5))
    def put(self, name, minutes):
        self.call("PutRule", Name=name, ScheduleExpression=f"rate({minutes} minutes)")
        target = {"Id": "1", "Arn": "arn:aws:sqs:us-east-1:000000000000:q", "Input": f'"{name}"'}
        self.call("PutTargets", Rule=name, Targets=[target])
        old = self.rules.get(name)
        start = old[1] if old and old[0] == minutes * 60 else self.cloud.clock.now()
        self.rules[name] = (minutes * 60, start, True)

    @rule(name=st.sampled_from("ab"), enabled=st.booleans())
    def switch(self, name, enabled):
        if name in self.rules:
            self.call("EnableRule" if enabled else "DisableRule", Name=name)
            self.rules[name] = (*self.rules[name][:2], enabled)

    @rule(name=st.sampled_from("ab"))
    def delete(self, name):
        if self.rules.pop(name, None):
            self.call("RemoveTargets", Rule=name, Ids=["1"])
            self.call("DeleteRule", Name=name)

    @rule(seconds=st.integers(1, 900))
    def wait(self, seconds):
        begin = self.cloud.clock.now()
        self.loop.run_until_complete(self.cloud.advance(seconds))
        for name, (period, start, enabled) in self.rules.items():
            due = start
            while enabled and due + period <= begin + seconds:
                due += period
                if due > begin:
                    self.expected.append((f'"{name}"', due))

    @invariant()
    def all_ran_when_they_had_to(self):
        assert sorted(self.fired) == sorted(self.expected)

    def teardown(self):
        if hasattr(self, "cloud"):
            self.loop.run_until_complete(self.cloud.__aexit__(None, None, None))
        self.loop.close()


TestSchedules = Schedules.TestCase
TestSchedules.settings = settings(max_examples=25, stateful_step_count=12, deadline=None)


# archives


def test_an_archive_keeps_what_matches_and_counts_it(client, clock):
    made = client.create_archive(
        ArchiveName="a", EventSourceArn=f"{BUS_ARN}default", EventPattern='{"detail": {"n": [1, 2]}}', RetentionDays=2,
        Description="d",
    )  # fmt: skip
    assert made["ArchiveArn"] == "arn:aws:events:us-east-1:000000000000:archive/a"
    assert made["State"] == "ENABLED"
    client.put_events(Entries=[entry(n) for n in range(4)])
    described = client.describe_archive(ArchiveName="a")
    assert (described["EventCount"], described["RetentionDays"], described["Description"]) == (2, 2, "d")
    assert described["SizeBytes"] > 300
    assert described["EventPattern"] == '{"detail": {"n": [1, 2]}}'
    assert refused(client.create_archive, ArchiveName="a", EventSourceArn=f"{BUS_ARN}default") == (
        "ResourceAlreadyExistsException", "Archive a already exists.",
    )  # fmt: skip


def test_archived_events_expire(client, clock, cloud):
    client.create_archive(ArchiveName="a", EventSourceArn=f"{BUS_ARN}default", RetentionDays=2)

    def count():
        return client.describe_archive(ArchiveName="a")["EventCount"]

    client.put_events(Entries=[entry(1), entry(2)])
    clock.advance(DAY)
    client.put_events(Entries=[entry(3)])
    clock.advance(DAY - 1)
    assert count() == 3
    clock.advance(2)
    assert count() == 1
    clock.advance(DAY)
    assert (count(), client.describe_archive(ArchiveName="a")["SizeBytes"]) == (0, 0)
    client.put_events(Entries=[entry(4)])
    clock.advance(2 * DAY + 1)
    assert count() == 0
    client.put_events(Entries=[entry(5)])
    client.update_archive(ArchiveName="a", RetentionDays=0)
    clock.advance(10 * DAY)
    assert count() == 1
    client.update_archive(ArchiveName="a", RetentionDays=1)
    clock.advance(1)
    assert count() == 0


def blobs(cloud):
    return list(cloud.cloud.store.begin(None).scan_keys(("~blob",)))


def test_long_events_are_archived_replayed_and_removed_as_files(client, clock, cloud, got):
    arn = client.create_archive(ArchiveName="a", EventSourceArn=f"{BUS_ARN}default", RetentionDays=1)["ArchiveArn"]
    begin, text = clock.now(), "x" * 100_000
    client.put_events(Entries=[entry(text)])
    assert len(blobs(cloud)) == 1
    wanted(client, got)
    client.start_replay(
        ReplayName="p", EventSourceArn=arn, EventStartTime=begin - 1, EventEndTime=begin + 1,
        Destination={"Arn": f"{BUS_ARN}default"},
    )  # fmt: skip
    clock.advance(5)
    assert [event["detail"]["n"] for event in got()] == [text]
    assert len(blobs(cloud)) == 1  # the archive's; the queue's is deleted
    clock.advance(DAY)
    assert (client.describe_archive(ArchiveName="a")["SizeBytes"], blobs(cloud)) == (0, [])
    client.put_events(Entries=[entry(text)])
    assert [event["detail"]["n"] for event in got()] == [text]
    assert len(blobs(cloud)) == 1
    client.delete_archive(ArchiveName="a")
    clock.quiet()
    assert blobs(cloud) == []


def test_a_deleted_archive_of_many_events_leaves_nothing(client, clock, cloud):
    client.create_archive(ArchiveName="a", EventSourceArn=f"{BUS_ARN}default")
    for _ in range(60):
        client.put_events(Entries=[entry(1)] * 10)
    client.delete_archive(ArchiveName="a")
    clock.quiet()
    assert [key for key in cloud.cloud.store.begin(None).scan_keys(("events",)) if key[1] != "bus"] == []


def test_archives_are_changed_listed_and_deleted(client, clock, cloud):
    client.create_event_bus(Name="b")
    for name, bus in (("one", "default"), ("two", "b"), ("three", "default")):
        client.create_archive(ArchiveName=name, EventSourceArn=f"{BUS_ARN}{bus}")

    def names(**asked):
        return [archive["ArchiveName"] for archive in client.list_archives(**asked)["Archives"]]

    assert names() == ["one", "three", "two"]
    assert names(NamePrefix="t") == ["three", "two"]
    assert names(EventSourceArn=f"{BUS_ARN}b") == ["two"]
    assert names(State="ENABLED") == ["one", "three", "two"]
    assert names(State="DISABLED") == []
    page = client.list_archives(Limit=2)
    assert names(NextToken=page["NextToken"]) == ["two"]
    assert refused(client.list_archives, NamePrefix="t", State="ENABLED")[0] == "ValidationException"
    client.update_archive(ArchiveName="one", EventPattern='{"source": ["other"]}', Description="x")
    client.put_events(Entries=[entry(1), entry(2, source="other")])
    assert client.describe_archive(ArchiveName="one")["EventCount"] == 1
    assert client.describe_archive(ArchiveName="three")["EventCount"] == 2
    for name in ("one", "two", "three"):
        client.delete_archive(ArchiveName=name)
    clock.quiet()
    left = [key for key in cloud.cloud.store.begin(None).scan_keys(("events",)) if key[1] != "bus"]
    assert left == []
    gone = ("ResourceNotFoundException", "Archive one does not exist.")
    assert refused(client.delete_archive, ArchiveName="one") == gone
    assert refused(client.update_archive, ArchiveName="one") == gone
    assert refused(client.describe_archive, ArchiveName="one") == gone


def test_what_is_no_archive_is_refused(client):
    assert refused(client.create_archive, ArchiveName="a", EventSourceArn=f"{BUS_ARN}no") == (
        "ResourceNotFoundException", "Event bus no does not exist.",
    )  # fmt: skip
    assert refused(
        client.create_archive, ArchiveName="a", EventSourceArn=f"{BUS_ARN}default", EventPattern='{"a": 1}'
    )[0] == "InvalidEventPatternException"  # fmt: skip
    code, message = refused(
        client.create_archive, ArchiveName="a", EventSourceArn=f"{BUS_ARN}default", KmsKeyIdentifier="k"
    )
    assert (code, "KmsKeyIdentifier" in message) == ("NotImplemented", True)


def test_an_archives_managed_rule_is_not_changed_without_force(client):
    client.create_archive(ArchiveName="a", EventSourceArn=f"{BUS_ARN}default")
    (managed,) = client.list_rules()["Rules"]
    assert (managed["Name"], managed["ManagedBy"]) == ("Events-Archive-a", "prod.vhs.events.aws.internal")
    name = {"Name": "Events-Archive-a"}
    for action, request in (
        (client.put_rule, {**name, "EventPattern": '{"source": ["x"]}'}),
        (client.disable_rule, name),
        (client.enable_rule, name),
        (client.delete_rule, name),
        (
            client.put_targets,
            {"Rule": name["Name"], "Targets": [{"Id": "1", "Arn": "arn:aws:sqs:us-east-1:000000000000:q"}]},
        ),
        (client.remove_targets, {"Rule": name["Name"], "Ids": ["1"]}),
    ):
        assert refused(action, **request)[0] == "ManagedRuleException"
    client.delete_rule(**name, Force=True)
    client.put_events(Entries=[entry(1)])
    assert client.describe_archive(ArchiveName="a")["EventCount"] == 0


# replays


@pytest.fixture
def archive(client):
    return client.create_archive(ArchiveName="a", EventSourceArn=f"{BUS_ARN}default")["ArchiveArn"]


@pytest.fixture
def replay(client, archive):
    def start(name, begin, end, **more):
        destination = {"Arn": f"{BUS_ARN}default", **more}
        return client.start_replay(
            ReplayName=name, EventSourceArn=archive, EventStartTime=begin, EventEndTime=end, Destination=destination
        )

    return start


def wanted(client, got, name="r"):
    client.put_rule(Name=name, EventPattern='{"source": ["app"]}')
    client.put_targets(Rule=name, Targets=[got.target])


def test_events_of_a_time_range_are_replayed_minute_by_minute(client, clock, got, replay):
    begin = clock.now()
    for n in range(5):
        client.put_events(Entries=[entry(n)])
        clock.advance(60)
    wanted(client, got)
    started = replay("p", begin + 60 - 1, begin + 180 + 1)
    assert started["State"] == "STARTING"
    assert started["ReplayArn"] == "arn:aws:events:us-east-1:000000000000:replay/p"
    assert got() == []
    clock.advance(1)
    described = client.describe_replay(ReplayName="p")
    assert described["State"] == "RUNNING"
    assert [event["detail"]["n"] for event in got()] == [1]
    assert described["EventLastReplayedTime"].timestamp() == pytest.approx(begin + 60, abs=1)
    clock.advance(10)
    events_ = got()
    assert [event["detail"]["n"] for event in events_] == [2, 3]
    assert {event["replay-name"] for event in events_} == {"p"}
    described = client.describe_replay(ReplayName="p")
    assert described["State"] == "COMPLETED"
    assert described["ReplayEndTime"] > described["ReplayStartTime"]
    assert described["Destination"] == {"Arn": f"{BUS_ARN}default"}
    assert client.describe_archive(ArchiveName="a")["EventCount"] == 5  # replayed events are not archived again


def test_many_events_of_one_minute_are_all_replayed_once(client, clock, got, replay):
    begin = clock.now()
    for part in range(45):
        client.put_events(Entries=[entry(part * 10 + n) for n in range(10)])
    wanted(client, got)
    replay("p", begin - 1, begin + 1)
    clock.advance(20)
    assert sorted(event["detail"]["n"] for event in got()) == list(range(450))
    assert client.describe_replay(ReplayName="p")["State"] == "COMPLETED"


def test_a_replay_goes_on_with_the_traces_of_its_events(client, clock, got, replay, cloud):
    begin = clock.now()
    client.put_events(Entries=[entry(1)])
    wanted(client, got)
    replay("p", begin - 1, begin + 1)
    clock.advance(5)
    tracer = cloud.cloud.pipeline.tracer
    tops = {span["name"]: span["trace_id"] for span in tracer.traces(100)}
    assert "sqs.SendMessage" in {span["name"] for span in tracer.spans(tops["events.StartReplay"])}
    assert "timer events.replay" in {span["name"] for span in tracer.spans(tops["events.PutEvents"])}


def test_a_replay_may_be_for_some_rules_only(client, clock, got, replay):
    begin = clock.now()
    client.put_events(Entries=[entry(1)])
    wanted(client, got, "r1")
    wanted(client, got, "r2")
    replay("p", begin - 1, begin + 1, FilterArns=[f"{RULE_ARN}r2"])
    clock.advance(5)
    assert len(got()) == 1


def test_a_replay_is_cancelled(client, clock, got, replay):
    begin = clock.now()
    for n in range(5):
        client.put_events(Entries=[entry(n)])
        clock.advance(60)
    wanted(client, got)
    replay("p", begin - 1, clock.now())
    clock.advance(2)
    assert client.cancel_replay(ReplayName="p")["State"] == "CANCELLING"
    assert refused(client.cancel_replay, ReplayName="p")[0] == "IllegalStatusException"
    clock.advance(10)
    assert client.describe_replay(ReplayName="p")["State"] == "CANCELLED"
    assert len(got()) == 2
    assert refused(client.cancel_replay, ReplayName="q") == ("ResourceNotFoundException", "Replay q does not exist.")
    assert refused(client.describe_replay, ReplayName="q") == ("ResourceNotFoundException", "Replay q does not exist.")


def test_a_replay_fails_when_its_archive_is_deleted(client, clock, replay):
    replay("p", clock.now() - 1, clock.now() + 1)
    client.delete_archive(ArchiveName="a")
    clock.advance(5)
    described = client.describe_replay(ReplayName="p")
    assert (described["State"], described["StateReason"]) == ("FAILED", "Archive a does not exist.")


def test_what_is_no_replay_is_refused(client, clock, archive, replay):
    now = clock.now()
    assert refused(replay, name="p", begin=now, end=now) == (
        "ValidationException",
        "Parameter EventEndTime is not valid. Reason: EventStartTime must be before EventEndTime.",
    )
    client.create_event_bus(Name="b")
    assert refused(replay, name="p", begin=now - 1, end=now, Arn=f"{BUS_ARN}b") == (
        "ValidationException",
        "Parameter Destination.Arn is not valid. Reason: Cross event bus replay is not permitted.",
    )
    assert refused(
        client.start_replay, ReplayName="p", EventSourceArn=archive + "x", EventStartTime=now - 1, EventEndTime=now,
        Destination={"Arn": f"{BUS_ARN}default"},
    ) == (
        "ResourceNotFoundException", "Parameter EventSourceArn is not valid. Reason: Archive ax does not exist.",
    )  # fmt: skip
    replay("p", now - 1, now)
    assert refused(replay, name="p", begin=now - 1, end=now) == (
        "ResourceAlreadyExistsException", "Replay p already exists.",
    )  # fmt: skip


def test_ten_replays_are_active_and_no_more(client, clock, replay):
    now = clock.now()
    for number in range(10):
        replay(f"p{number}", now - 1, now)
    assert refused(replay, name="one-more", begin=now - 1, end=now)[0] == "LimitExceededException"
    clock.advance(5)
    replay("one-more", now - 1, now)


def test_replays_are_listed_for_90_days(client, clock, archive, replay):
    now = clock.now()
    replay("p1", now - 1, now)
    clock.advance(5)
    replay("p2", now - 1, now)
    replay("x", now - 1, now)

    def names(**asked):
        return [replay["ReplayName"] for replay in client.list_replays(**asked)["Replays"]]

    assert names() == ["p1", "p2", "x"]
    assert names(NamePrefix="p") == ["p1", "p2"]
    assert names(State="STARTING") == ["p2", "x"]
    assert names(EventSourceArn=archive) == ["p1", "p2", "x"]
    assert names(NextToken=client.list_replays(Limit=1)["NextToken"]) == ["p2", "x"]
    assert refused(client.list_replays, NamePrefix="p", State="STARTING")[0] == "ValidationException"
    clock.advance(90 * DAY + 5)
    assert names() == []
