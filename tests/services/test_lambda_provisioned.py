"""Lambda: provisioned concurrency: environments of a version or an alias that stand ready."""

import asyncio
import io
import json
import urllib.request
import zipfile

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::000000000000:role/functions"
ARN = "arn:aws:lambda:us-east-1:000000000000:function:"
CODE = ("import os\nprint('made')\nsaid = []\ndef handler(event, context):\n    said.append(event)\n"
        "    return [os.environ['AWS_LAMBDA_INITIALIZATION_TYPE'], context.function_version, len(said)]\n")  # fmt: skip


def packed(code):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr(zipfile.ZipInfo("index.py"), code)
    return sink.getvalue()


@pytest.fixture
def client(aws):
    return aws("lambda")


def publish(client, code=CODE, name="f"):
    settings = {"Runtime": "python3.12", "Role": ROLE, "Handler": "index.handler", "Timeout": 20, "Publish": True}
    return client.create_function(FunctionName=name, Code={"ZipFile": packed(code)}, **settings)


def put(client, count, qualifier="1", name="f"):
    return client.put_provisioned_concurrency_config(
        FunctionName=name, Qualifier=qualifier, ProvisionedConcurrentExecutions=count
    )


def get(client, qualifier="1"):
    return client.get_provisioned_concurrency_config(FunctionName="f", Qualifier=qualifier)


def invoke(client, qualifier="1"):
    return json.load(client.invoke(FunctionName="f", Qualifier=qualifier)["Payload"])


def lines(aws, what):
    logs = aws("logs")
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName="/aws/lambda/f")
    return [event["message"] for page in pages for event in page["events"] if event["message"].startswith(what)]


def refused(action, **request):
    with pytest.raises(ClientError) as caught:
        action(**request)
    answer = caught.value.response
    return answer["Error"]["Code"], answer["Error"]["Message"]


def stats(cloud):
    async def read():
        return cloud.cloud.runtimes.stats()

    return cloud.run(read())


def test_environments_stand_ready_before_anybody_comes(aws, client, clock, cloud):
    publish(client)
    first = put(client, 3)
    assert (first["Status"], first["RequestedProvisionedConcurrentExecutions"]) == ("IN_PROGRESS", 3)
    assert first["AllocatedProvisionedConcurrentExecutions"] == 0
    clock.quiet()
    ready = get(client)
    assert (ready["Status"], ready["AllocatedProvisionedConcurrentExecutions"]) == ("READY", 3)
    assert ready["AvailableProvisionedConcurrentExecutions"] == 3
    assert stats(cloud)["provisioned"] == 3
    assert len(lines(aws, "made")) == 3
    assert invoke(client)[:2] == ["provisioned-concurrency", "1"]
    assert invoke(client, "$LATEST")[:2] == ["on-demand", "$LATEST"]
    assert len(lines(aws, "made")) == 4
    assert sorted("Init Duration" in line for line in lines(aws, "REPORT")) == [False, True]


def test_what_comes_beyond_them_spills_over_and_is_counted(aws, client, clock, cloud):
    publish(client)
    put(client, 1)
    clock.quiet()
    pool = next(iter(cloud.cloud.pipeline.volatile["lambda.pools"].values()))
    assert invoke(client)[0] == "provisioned-concurrency"
    from cumulet.kernel.store import Fate

    pool.in_use["other"] = Fate()
    assert invoke(client)[0] == "on-demand"
    pool.in_use["other"].failed = True  # its beginning was never written
    assert invoke(client)[0] == "provisioned-concurrency"
    clock.advance(60)

    def total(name, statistic="Sum"):
        points = aws("cloudwatch").get_metric_statistics(
            Namespace="AWS/Lambda", MetricName=name, StartTime=clock.now() - 600, EndTime=clock.now() + 60, Period=600,
            Statistics=[statistic], Dimensions=[{"Name": "FunctionName", "Value": "f"}, {"Name": "Resource", "Value": "f:1"}],
        )["Datapoints"]  # fmt: skip
        return [point[statistic] for point in points]

    assert total("ProvisionedConcurrencyInvocations") == [2]
    assert total("ProvisionedConcurrencySpilloverInvocations") == [1]
    assert total("ProvisionedConcurrencyUtilization", "Maximum") == [1]


def test_an_environment_that_ends_is_replaced(aws, client, clock, cloud):
    publish(client, CODE + "    \nimport os\ndef ending(event, context):\n    os._exit(3)\n")
    client.update_function_configuration(FunctionName="f", Handler="index.ending")
    version = client.publish_version(FunctionName="f")["Version"]
    put(client, 2, version)
    clock.quiet()
    assert client.invoke(FunctionName="f", Qualifier=version)["FunctionError"] == "Unhandled"

    async def replaced():
        await asyncio.gather(*cloud.cloud.runtimes._tasks)

    cloud.run(replaced())
    assert stats(cloud)["provisioned"] == 2


def test_a_version_that_cannot_be_initialised_fails(client, clock, cloud):
    publish(client, "raise RuntimeError('no')\n")
    put(client, 1)
    clock.quiet()
    failed = get(client)
    assert (failed["Status"], failed["StatusReason"]) == ("FAILED", "FUNCTION_ERROR_INIT_FAILURE")
    assert stats(cloud)["provisioned"] == 0


def test_an_aliass_environments_follow_it(aws, client, clock, cloud):
    publish(client)
    client.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    put(client, 2, "live")
    clock.quiet()
    assert invoke(client, "live") == ["provisioned-concurrency", "1", 1]
    client.update_function_code(FunctionName="f", ZipFile=packed(CODE + "# two\n"), Publish=True)
    client.update_alias(FunctionName="f", Name="live", FunctionVersion="2")
    clock.quiet()
    assert get(client, "live")["Status"] == "READY"
    assert invoke(client, "live")[:2] == ["provisioned-concurrency", "2"]
    assert stats(cloud)["provisioned"] == 2


def test_fewer_and_none_can_be_asked_for(client, clock, cloud):
    publish(client)
    put(client, 3)
    clock.quiet()
    put(client, 1)
    clock.quiet()
    assert stats(cloud)["provisioned"] == 1
    client.delete_provisioned_concurrency_config(FunctionName="f", Qualifier="1")
    clock.quiet()
    assert stats(cloud)["provisioned"] == 0
    assert refused(get, client=client) == (
        "ProvisionedConcurrencyConfigNotFoundException", "No Provisioned Concurrency Config found for this function",
    )  # fmt: skip
    put(client, 2)
    clock.quiet()
    client.delete_function(FunctionName="f")
    clock.quiet()
    assert stats(cloud)["provisioned"] == 0


class Held:
    """Stands before the runtimes: what is asked of them waits until it is let go; `asked` says how many were wanted when."""

    def __init__(self, cloud):
        self.performers = cloud.cloud.pipeline.performers
        self.perform, self.asked, self.go, self.cloud = self.performers["provision"], [], asyncio.Event(), cloud
        self.performers["provision"] = self.provision

    async def provision(self, span, spec, code, layers, count, now):
        self.asked.append(count)
        results = await self.perform(span, spec, code, layers, count, now)
        if not self.go.is_set():
            await self.go.wait()
        return results

    def release(self):
        async def let():
            self.go.set()

        self.cloud.run(let())

    def end(self):
        self.performers["provision"] = self.perform
        self.release()


@pytest.fixture
def held(cloud):
    made = Held(cloud)
    yield made
    made.end()


def test_a_setting_that_is_deleted_while_environments_are_started_leaves_none(client, clock, cloud, held):
    publish(client)
    put(client, 2)
    client.delete_provisioned_concurrency_config(FunctionName="f", Qualifier="1")
    held.release()
    clock.quiet()
    assert stats(cloud)["provisioned"] == 0
    assert held.asked == [2, 0]


def test_settings_that_follow_one_another_quickly_are_followed_one_by_one(client, clock, cloud, held):
    publish(client)
    for count in (3, 5, 2):
        put(client, count)
    assert held.asked in ([], [3])
    held.release()
    clock.quiet()
    assert held.asked in ([3, 0, 2], [5, 0, 2], [2])  # the one that was begun first ends before the last begins
    assert stats(cloud)["provisioned"] == 2
    assert get(client)["AllocatedProvisionedConcurrentExecutions"] == 2
    client.delete_provisioned_concurrency_config(FunctionName="f", Qualifier="1")
    clock.quiet()
    assert stats(cloud)["provisioned"] == 0


def test_environments_are_ready_although_a_full_disk_did_not_take_note_of_it(
    client, clock, cloud, held, faults, monkeypatch
):
    timers = cloud.cloud.pipeline.timers
    monkeypatch.setattr(timers, "rewrite_s", 0.01)

    def full():
        faults.disarm("store.commit")
        raise OSError("no space left on device")

    publish(client)
    put(client, 1)
    while not held.asked:
        get(client)  # until its beginning is written
    faults.arm("store.commit", full)
    held.release()
    clock.quiet()  # a question that reads what is being refused would be refused, too
    while get(client)["Status"] == "IN_PROGRESS":
        clock.quiet()
    assert (get(client)["Status"], stats(cloud)["provisioned"]) == ("READY", 1)


def test_an_initialisation_that_fails_leaves_none_of_those_that_succeeded(aws, client, clock, cloud):
    """What stood ready before stays so."""
    sqs = aws("sqs")
    url = sqs.create_queue(QueueName="places")["QueueUrl"]
    sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": "x"} for n in range(3)])
    publish(client, f"import boto3\nboto3.client('sqs').receive_message(QueueUrl='{url}')['Messages'][0]\n" + CODE)
    put(client, 5)
    clock.quiet()
    assert (get(client)["Status"], stats(cloud)["provisioned"]) == ("FAILED", 0)
    for _ in range(4):
        sqs.send_message(QueueUrl=url, MessageBody="x")
    put(client, 1)
    clock.quiet()
    assert (get(client)["Status"], stats(cloud)["provisioned"]) == ("READY", 1)
    put(client, 9)
    clock.quiet()
    assert (get(client)["Status"], stats(cloud)["provisioned"]) == ("FAILED", 1)
    client.delete_provisioned_concurrency_config(FunctionName="f", Qualifier="1")
    clock.quiet()
    assert stats(cloud)["provisioned"] == 0


def test_credentials_are_renewed_in_time(client, clock, cloud):
    publish(client, "import os\ndef handler(event, context):\n    return os.environ['AWS_SESSION_TOKEN']\n")
    put(client, 1)
    clock.quiet()
    before = invoke(client)
    clock.advance(12 * 3600)
    assert invoke(client) != before
    assert stats(cloud)["provisioned"] == 1


def test_the_settings_are_listed(client, clock):
    publish(client)
    client.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    client.update_function_code(FunctionName="f", ZipFile=packed(CODE + "# two\n"), Publish=True)
    put(client, 1, "live")
    put(client, 1, "2")
    first = client.list_provisioned_concurrency_configs(FunctionName="f", MaxItems=1)
    rest = client.list_provisioned_concurrency_configs(FunctionName="f", Marker=first["NextMarker"])
    found = [c["FunctionArn"] for page in (first, rest) for c in page["ProvisionedConcurrencyConfigs"]]
    assert found == [f"{ARN}f:2", f"{ARN}f:live"]
    clock.quiet()


def test_what_cannot_be_provisioned_is_refused(client, clock):
    publish(client)
    unpublished = "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
    assert refused(put, client=client, count=1, qualifier="$LATEST") == ("InvalidParameterValueException", unpublished)
    client.create_alias(FunctionName="f", Name="latest", FunctionVersion="$LATEST")
    assert refused(put, client=client, count=1, qualifier="latest") == ("InvalidParameterValueException", unpublished)
    assert refused(put, client=client, count=1, qualifier="9")[0] == "ResourceNotFoundException"
    assert refused(put, client=client, count=1, qualifier="nope")[0] == "ResourceNotFoundException"
    client.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    put(client, 1, "live")
    assert refused(put, client=client, count=1)[1] == "Version is pointed by a Provisioned Concurrency alias"
    client.delete_provisioned_concurrency_config(FunctionName="f", Qualifier="live")
    put(client, 1)
    assert refused(put, client=client, count=1, qualifier="live")[1] == (
        "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
    )
    clock.quiet()


def test_the_reservation_and_the_account_are_the_limits(client, clock):
    publish(client)
    client.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=2)
    assert refused(put, client=client, count=3)[1] == (
        "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function"
    )
    put(client, 2)
    clock.quiet()
    code, message = refused(client.put_function_concurrency, FunctionName="f", ReservedConcurrentExecutions=1)
    assert (code, "[2]" in message) == ("InvalidParameterValueException", True)
    client.delete_function_concurrency(FunctionName="f")
    assert "[100]" in refused(put, client=client, count=901)[1]
    publish(client, name="g")
    reserve = client.put_function_concurrency
    assert refused(reserve, FunctionName="g", ReservedConcurrentExecutions=899)[0] == "InvalidParameterValueException"
    reserve(FunctionName="g", ReservedConcurrentExecutions=898)


@pytest.mark.crash
def test_environments_stand_ready_again_after_a_kill(server_process):
    server = server_process("--clock", "virtual").start()
    config = Config(retries={"total_max_attempts": 1}, read_timeout=120)
    client = boto3.client("lambda", endpoint_url=server.endpoint, region_name="us-east-1", config=config)

    def quiet():
        body = json.dumps({"advance": 1}).encode()
        request = urllib.request.Request(f"{server.endpoint}/_cumulet/clock", body)
        with urllib.request.urlopen(request, timeout=60) as answer:
            json.load(answer)

    publish(client)
    put(client, 2)
    quiet()
    assert get(client)["Status"] == "READY"
    server.kill()
    server.start()
    quiet()
    assert get(client)["AllocatedProvisionedConcurrentExecutions"] == 2
    assert invoke(client) == ["provisioned-concurrency", "1", 1]
