"""What the tests of SQS share: reading a queue, and expecting a refusal."""

import pytest
from botocore.exceptions import ClientError

ACCOUNT = "000000000000"
ARN = f"arn:aws:sqs:us-east-1:{ACCOUNT}"
NO_QUEUE = "AWS.SimpleQueueService.NonExistentQueue"


def refused(code, call, **request):
    """The message of the error that the call must end with."""
    with pytest.raises(ClientError) as failure:
        call(**request)
    assert failure.value.response["Error"]["Code"] == code, failure.value
    return failure.value.response["Error"]["Message"]


def attributes(sqs, url, *names):
    return sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(names or ["All"])).get("Attributes", {})


def receive(sqs, url, count=10, **request):
    return sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=count, **request).get("Messages", [])


def bodies(sqs, url, count=10, **request):
    return [message["Body"] for message in receive(sqs, url, count, **request)]


def delete(sqs, url, message):
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def held(sqs, url):
    """(visible, in flight, delayed)."""
    found = attributes(sqs, url)
    return tuple(int(found[f"ApproximateNumberOfMessages{state}"]) for state in ("", "NotVisible", "Delayed"))


def until_parked(cloud, count=1):
    """Wait until so many requests wait in the server."""

    async def parked():
        return sum(map(len, cloud.cloud.pipeline._parked.values()))

    while cloud.run(parked()) < count:
        pass


def rows(cloud, *prefix):
    """How many rows the store has under a key."""

    async def count():
        from cumulet.kernel.keys import after_prefix, pack
        from cumulet.kernel.tx import TimerScope

        tx = cloud.cloud.store.begin(TimerScope(account="", region=""))
        return sum(1 for _ in tx.scan_bytes(pack(prefix), after_prefix(pack(prefix))))

    return cloud.run(count())
