"""Resource policies, and throughput that runs out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

OTHER = "111122223333"
ON = [{"Key": "cumulet:throttle", "Value": "on"}]


@pytest.fixture
def db(aws: Any) -> Any:
    return aws("dynamodb")


@pytest.fixture
def arn(db: Any, clock: Any) -> str:
    made = make(db, "shared")
    clock.quiet()
    return made


def make(db: Any, name: str, **more: Any) -> str:
    return str(
        db.create_table(
            TableName=name,
            AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}, *more.pop("also", [])],
            KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
            **{"BillingMode": "PAY_PER_REQUEST", **more},
        )["TableDescription"]["TableArn"]
    )


def failure(call: Any, **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def policy(effect: str, principal: Any, action: Any, resource: str) -> str:
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": effect, "Principal": principal, "Action": action, "Resource": resource}],
        }
    )


def test_another_account_needs_an_allow(aws: Any, db: Any, arn: str) -> None:
    other = aws("dynamodb", aws_access_key_id=OTHER)
    code, message = failure(other.get_item, TableName=arn, Key={"k": {"S": "a"}})
    assert code == "AccessDeniedException"
    assert message.endswith(
        f"is not authorized to perform: dynamodb:GetItem on resource: {arn} because no resource-based policy "
        "allows the dynamodb:GetItem action"
    )
    db.put_resource_policy(ResourceArn=arn, Policy=policy("Allow", {"AWS": OTHER}, "dynamodb:Get*", arn))
    assert "Item" not in other.get_item(TableName=arn, Key={"k": {"S": "a"}})
    assert failure(other.put_item, TableName=arn, Item={"k": {"S": "a"}})[0] == "AccessDeniedException"
    third = aws("dynamodb", aws_access_key_id="444455556666")
    assert failure(third.get_item, TableName=arn, Key={"k": {"S": "a"}})[0] == "AccessDeniedException"
    db.put_item(TableName="shared", Item={"k": {"S": "a"}})


def test_a_transaction_is_of_one_account(aws: Any, db: Any, clock: Any, arn: str) -> None:
    other = aws("dynamodb", aws_access_key_id=OTHER)
    make(other, "shared")
    clock.quiet()
    db.put_resource_policy(ResourceArn=arn, Policy=policy("Allow", {"AWS": OTHER}, "dynamodb:*", arn))
    item = {"k": {"S": "a"}}

    def write(*tables: str) -> None:
        other.transact_write_items(TransactItems=[{"Put": {"TableName": name, "Item": item}} for name in tables])

    def read(*tables: str) -> None:
        other.transact_get_items(TransactItems=[{"Get": {"TableName": name, "Key": item}} for name in tables])

    def state(*tables: str) -> None:
        texts = [f"SELECT * FROM \"{name}\" WHERE k = 'a'" for name in tables]
        other.execute_transaction(TransactStatements=[{"Statement": text} for text in texts])

    wrong = ("ValidationException", "A transaction cannot operate on tables in more than one AWS account")
    for call in (write, read, state):
        with pytest.raises(ClientError) as caught:
            call("shared", arn)
        assert (caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]) == wrong
        call("shared")
        call(arn)


def test_a_deny_holds_for_the_own_account_too(db: Any, arn: str) -> None:
    db.put_resource_policy(
        ResourceArn=arn, Policy=policy("Deny", "*", ["dynamodb:DeleteItem", "dynamodb:DeleteTable"], arn)
    )
    code, message = failure(db.delete_item, TableName="shared", Key={"k": {"S": "a"}})
    assert code == "AccessDeniedException"
    assert message.endswith("with an explicit deny in a resource-based policy")
    db.put_item(TableName="shared", Item={"k": {"S": "a"}})
    assert db.delete_resource_policy(ResourceArn=arn)["RevisionId"]
    db.delete_item(TableName="shared", Key={"k": {"S": "a"}})


def test_policies_have_revisions(db: Any, arn: str) -> None:
    text = policy("Allow", {"AWS": OTHER}, "dynamodb:*", arn)
    assert failure(db.get_resource_policy, ResourceArn=arn)[0] == "PolicyNotFoundException"
    first = db.put_resource_policy(ResourceArn=arn, Policy=text, ExpectedRevisionId="NO_POLICY")["RevisionId"]
    assert db.get_resource_policy(ResourceArn=arn) | {"ResponseMetadata": 0} == {
        "Policy": text,
        "RevisionId": first,
        "ResponseMetadata": 0,
    }
    assert failure(db.put_resource_policy, ResourceArn=arn, Policy=text, ExpectedRevisionId="NO_POLICY")[0] == (
        "PolicyNotFoundException"
    )
    assert failure(db.delete_resource_policy, ResourceArn=arn, ExpectedRevisionId="1")[0] == "PolicyNotFoundException"
    assert db.delete_resource_policy(ResourceArn=arn, ExpectedRevisionId=first)["RevisionId"] == first
    assert "RevisionId" not in db.delete_resource_policy(ResourceArn=arn)
    assert failure(db.get_resource_policy, ResourceArn=arn + "x")[0] == "ResourceNotFoundException"


@pytest.mark.parametrize(
    "text",
    ["no json", "{}", '{"Statement": [{"Effect": "Maybe"}]}', '{"Statement": [{"Effect": "Allow", "Principal": "*"}]}'],
)
def test_a_policy_must_be_one(db: Any, arn: str, text: str) -> None:
    assert failure(db.put_resource_policy, ResourceArn=arn, Policy=text)[0] == "ValidationException"


def test_policies_over_20_kb_and_what_locks_out_are_refused(db: Any, arn: str) -> None:
    text = policy("Allow", {"AWS": OTHER}, "dynamodb:*", arn)
    db.put_resource_policy(ResourceArn=arn, Policy=text + " " * (20 * 1024 - len(text)))
    assert failure(db.put_resource_policy, ResourceArn=arn, Policy=text + " " * (20 * 1024 - len(text) + 1))[0] == (
        "ValidationException"
    )
    closed = policy("Deny", "*", "*", arn)
    assert "ConfirmRemoveSelfResourceAccess" in failure(db.put_resource_policy, ResourceArn=arn, Policy=closed)[1]
    condition = json.loads(text)
    condition["Statement"][0]["Condition"] = {"StringEquals": {"a": "b"}}
    code, message = failure(db.put_resource_policy, ResourceArn=arn, Policy=json.dumps(condition))
    assert (code, "Condition" in message) == ("NotImplemented", True)


def test_a_table_can_be_created_with_its_policy(aws: Any, db: Any, clock: Any) -> None:
    arn = "arn:aws:dynamodb:us-east-1:000000000000:table/born"
    make(db, "born", ResourcePolicy=policy("Allow", {"AWS": f"arn:aws:iam::{OTHER}:root"}, "dynamodb:Query", "*"))
    clock.quiet()
    other = aws("dynamodb", aws_access_key_id=OTHER)
    found = other.query(TableName=arn, KeyConditionExpression="k = :k", ExpressionAttributeValues={":k": {"S": "a"}})
    assert found["Count"] == 0
    assert failure(other.scan, TableName=arn)[0] == "AccessDeniedException"


# throttling

TABLE = (
    "The level of configured provisioned throughput for the table was exceeded. "
    "Consider increasing your provisioning level with the UpdateTable API."
)


def provisioned(db: Any, clock: Any, read: int = 1, write: int = 1, tags: Any = ON, **more: Any) -> None:
    units = {"ReadCapacityUnits": read, "WriteCapacityUnits": write}
    make(db, "slow", BillingMode="PROVISIONED", ProvisionedThroughput=units, Tags=tags, **more)
    clock.quiet()


def item(n: int, size: int = 1) -> dict[str, Any]:
    return {"k": {"S": f"k{n}"}, "v": {"S": "x" * (1024 * size - 10)}}


def test_writes_run_out_after_a_burst_of_300_seconds_and_come_back(db: Any, clock: Any) -> None:
    provisioned(db, clock)
    for n in range(3):
        db.put_item(TableName="slow", Item=item(n, 100))
    assert failure(db.put_item, TableName="slow", Item=item(9)) == ("ProvisionedThroughputExceededException", TABLE)
    assert "Item" not in db.get_item(TableName="slow", Key={"k": {"S": "k9"}})
    clock.advance(1)
    db.put_item(TableName="slow", Item=item(9))
    assert failure(db.delete_item, TableName="slow", Key={"k": {"S": "k9"}})[1] == TABLE
    clock.advance(1000)
    for n in range(3):
        db.put_item(TableName="slow", Item=item(n, 100))
    assert failure(db.put_item, TableName="slow", Item=item(9))[1] == TABLE


def test_reads_have_a_bucket_of_their_own(db: Any, clock: Any) -> None:
    provisioned(db, clock)
    db.put_item(TableName="slow", Item=item(1, 200))
    for _ in range(12):
        db.get_item(TableName="slow", Key={"k": {"S": "k1"}})
    assert failure(db.get_item, TableName="slow", Key={"k": {"S": "k1"}})[1] == TABLE
    assert failure(db.scan, TableName="slow")[1] == TABLE
    assert failure(db.execute_statement, Statement="SELECT * FROM slow")[1] == TABLE
    assert failure(db.batch_get_item, RequestItems={"slow": {"Keys": [{"k": {"S": "k1"}}]}})[1] == TABLE
    db.put_item(TableName="slow", Item=item(2))


def test_batches_come_back_unprocessed_and_transactions_cancelled(db: Any, clock: Any) -> None:
    provisioned(db, clock)
    db.put_item(TableName="slow", Item=item(0, 299))
    requests = [{"PutRequest": {"Item": item(n)}} for n in (1, 2)]
    left = db.batch_write_item(RequestItems={"slow": requests})["UnprocessedItems"]
    assert left == {"slow": [requests[1]]}
    assert failure(db.batch_write_item, RequestItems=left)[1] == TABLE
    with pytest.raises(ClientError) as caught:
        db.transact_write_items(TransactItems=[{"Put": {"TableName": "slow", "Item": item(3)}}])
    assert caught.value.response["CancellationReasons"][0]["Code"] == "ProvisionedThroughputExceeded"
    clock.advance(2)
    db.transact_write_items(TransactItems=[{"Put": {"TableName": "slow", "Item": item(3)}}])


def test_a_global_index_throttles_its_table(db: Any, clock: Any) -> None:
    units = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
    index = {
        "IndexName": "byV",
        "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
        "ProvisionedThroughput": units,
    }
    provisioned(db, clock, 10, 10, also=[{"AttributeName": "g", "AttributeType": "S"}], GlobalSecondaryIndexes=[index])
    for n in range(3):
        db.put_item(TableName="slow", Item={**item(n, 99), "g": {"S": "g"}})
    code, message = failure(db.put_item, TableName="slow", Item={**item(5, 10), "g": {"S": "g"}})
    assert code == "ProvisionedThroughputExceededException"
    assert "one or more global secondary indexes" in message
    db.put_item(TableName="slow", Item=item(5, 10))


def test_maxima_on_demand_throttle_too(db: Any, clock: Any) -> None:
    make(db, "slow", OnDemandThroughput={"MaxReadRequestUnits": 1, "MaxWriteRequestUnits": 1}, Tags=ON)
    clock.quiet()
    db.put_item(TableName="slow", Item=item(1, 300))
    code, message = failure(db.put_item, TableName="slow", Item=item(1))
    assert code == "ThrottlingException"
    assert message.startswith("Throughput exceeds the maximum OnDemandThroughput")
    assert db.describe_table(TableName="slow")["Table"]["OnDemandThroughput"] == {
        "MaxReadRequestUnits": 1,
        "MaxWriteRequestUnits": 1,
    }
    db.update_table(TableName="slow", OnDemandThroughput={"MaxReadRequestUnits": -1, "MaxWriteRequestUnits": -1})
    clock.quiet()
    db.put_item(TableName="slow", Item=item(1))
    assert "OnDemandThroughput" not in db.describe_table(TableName="slow")["Table"]


def test_nothing_throttles_without_the_tag(db: Any, clock: Any) -> None:
    provisioned(db, clock, tags=[{"Key": "cumulet:throttle", "Value": "off"}])
    for n in range(5):
        db.put_item(TableName="slow", Item=item(n, 300))
    arn = db.describe_table(TableName="slow")["Table"]["TableArn"]
    db.tag_resource(ResourceArn=arn, Tags=ON)
    db.put_item(TableName="slow", Item=item(0, 300))
    assert failure(db.put_item, TableName="slow", Item=item(0, 300))[1] == TABLE
