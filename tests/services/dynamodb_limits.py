"""What the tests of DynamoDB's limits share: a table of items with a key of two attributes, and refusals."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

KB = 1024


def make(db: Any, name: str = "things", **more: Any) -> Any:
    also = [{"AttributeName": each, "AttributeType": "S"} for each in more.pop("also", [])]
    return db.create_table(
        TableName=name,
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"}, *also],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        **{"BillingMode": "PAY_PER_REQUEST", **more},
    )  # fmt: skip


def refused(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    return str(caught.value.response["Error"]["Message"])


def limited(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    assert caught.value.response["Error"]["Code"] == "LimitExceededException"
    return str(caught.value.response["Error"]["Message"])


def key(pk: str = "p", sk: str = "s") -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


def put(db: Any, **item: Any) -> Any:
    return db.put_item(TableName="things", Item={**key(), **item})
