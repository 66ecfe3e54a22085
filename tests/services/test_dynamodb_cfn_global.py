"""AWS::DynamoDB::GlobalTable with one replica, as the AWS CDK's TableV2 writes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

REPLICA: dict[str, Any] = {
    "Region": {"Ref": "AWS::Region"},
    "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
    "DeletionProtectionEnabled": False,
    "TableClass": "STANDARD_INFREQUENT_ACCESS",
    "Tags": [{"Key": "team", "Value": "blue"}],
    "GlobalSecondaryIndexes": [{"IndexName": "by-g", "ReadOnDemandThroughputSettings": {"MaxReadRequestUnits": 7}}],
}
TABLE: dict[str, Any] = {
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}, {"AttributeName": "g", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "BillingMode": "PAY_PER_REQUEST",
    "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"},
    "SSESpecification": {"SSEEnabled": False},
    "TimeToLiveSpecification": {"AttributeName": "until", "Enabled": True},
    "WriteOnDemandThroughputSettings": {"MaxWriteRequestUnits": "9"},
    "GlobalSecondaryIndexes": [
        {
            "IndexName": "by-g",
            "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
            "Projection": {"ProjectionType": "ALL"},
        }
    ],
    "Replicas": [REPLICA],
}  # fmt: skip
Deploy = Callable[..., tuple[str, dict[str, str], list[str]]]


@pytest.fixture
def deploy(aws: Any, server: Any) -> Deploy:
    cfn = aws("cloudformation")

    def run(properties: dict[str, Any], update: bool = False) -> tuple[str, dict[str, str], list[str]]:
        outputs = {name: {"Value": {"Fn::GetAtt": ["T", name]}} for name in ("Arn", "StreamArn", "TableId")}
        body = {
            "Resources": {"T": {"Type": "AWS::DynamoDB::GlobalTable", "Properties": properties}},
            "Outputs": {"Name": {"Value": {"Ref": "T"}}, **outputs},
        }
        (cfn.update_stack if update else cfn.create_stack)(StackName="s", TemplateBody=json.dumps(body))
        server.quiet()
        server.run(server.cloud.pipeline.advance(120))
        stack = cfn.describe_stacks(StackName="s")["Stacks"][0]
        events = cfn.describe_stack_events(StackName="s")["StackEvents"]
        made = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", ())}
        return stack["StackStatus"], made, [event.get("ResourceStatusReason", "") for event in events]

    return run


def test_a_global_table_with_one_replica_comes_changes_and_goes(aws: Any, server: Any, deploy: Deploy) -> None:
    status, outputs, events = deploy(TABLE)
    assert status == "CREATE_COMPLETE", events
    db = aws("dynamodb")
    table = db.describe_table(TableName=outputs["Name"])["Table"]
    assert (table["TableArn"], table["TableId"]) == (outputs["Arn"], outputs["TableId"])
    assert table["LatestStreamArn"] == outputs["StreamArn"]
    assert table["OnDemandThroughput"] == {"MaxReadRequestUnits": -1, "MaxWriteRequestUnits": 9}
    assert table["GlobalSecondaryIndexes"][0]["OnDemandThroughput"]["MaxReadRequestUnits"] == 7
    assert table["TableClassSummary"]["TableClass"] == "STANDARD_INFREQUENT_ACCESS"
    assert db.describe_time_to_live(TableName=outputs["Name"])["TimeToLiveDescription"]["AttributeName"] == "until"
    recovery = db.describe_continuous_backups(TableName=outputs["Name"])["ContinuousBackupsDescription"]
    assert recovery["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
    tags = {tag["Key"]: tag["Value"] for tag in db.list_tags_of_resource(ResourceArn=outputs["Arn"])["Tags"]}
    assert tags["team"] == "blue"
    plain = {name: value for name, value in REPLICA.items() if name not in ("Tags", "PointInTimeRecoverySpecification")}
    changed = {**TABLE, "Replicas": [{**plain, "TableClass": "STANDARD"}]}
    del changed["WriteOnDemandThroughputSettings"]
    status, again, events = deploy(changed, update=True)
    assert (status, again["TableId"]) == ("UPDATE_COMPLETE", outputs["TableId"]), events
    table = db.describe_table(TableName=outputs["Name"])["Table"]
    assert (table["TableClassSummary"]["TableClass"], "OnDemandThroughput" in table) == ("STANDARD", False)
    recovery = db.describe_continuous_backups(TableName=outputs["Name"])["ContinuousBackupsDescription"]
    assert recovery["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "DISABLED"
    aws("cloudformation").delete_stack(StackName="s")
    server.run(server.cloud.pipeline.advance(120))
    assert db.list_tables()["TableNames"] == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"Replicas": [REPLICA, {"Region": "eu-west-1"}]}, "a replica in eu-west-1"),
        ({"Replicas": [{"Region": "eu-west-1"}]}, "a replica in eu-west-1"),
        ({"BillingMode": "PROVISIONED"}, "BillingMode PROVISIONED"),
        ({"Replicas": [{**REPLICA, "KinesisStreamSpecification": {"StreamArn": "a"}}]}, "KinesisStreamSpecification of a replica"),
        ({"SSESpecification": {"SSEEnabled": True}}, "SSESpecification"),
    ],
)  # fmt: skip
def test_what_a_global_table_cannot_be_here_is_refused_by_name(
    aws: Any, deploy: Deploy, change: dict[str, Any], words: str
) -> None:
    status, _, events = deploy({**TABLE, **change})
    assert status.startswith("ROLLBACK")
    assert any(words in reason for reason in events), events
    assert aws("dynamodb").list_tables()["TableNames"] == []
