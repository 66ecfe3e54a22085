"""AWS::DynamoDB::Table: created, updated and refused through CloudFormation."""

import json

import pytest
from botocore.exceptions import ClientError

TABLE = {
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "BillingMode": "PAY_PER_REQUEST",
    "TimeToLiveSpecification": {"AttributeName": "until", "Enabled": True},
    "Tags": [{"Key": "team", "Value": "blue"}],
}


@pytest.fixture
def deploy(aws, server):
    cfn = aws("cloudformation")

    def run(properties, update=False):
        body = {
            "Resources": {"T": {"Type": "AWS::DynamoDB::Table", "Properties": properties}},
            "Outputs": {"Name": {"Value": {"Ref": "T"}}, "Arn": {"Value": {"Fn::GetAtt": ["T", "Arn"]}}},
        }
        call = cfn.update_stack if update else cfn.create_stack
        call(StackName="s", TemplateBody=json.dumps(body))
        server.quiet()
        server.run(server.cloud.pipeline.advance(120))
        stack = cfn.describe_stacks(StackName="s")["Stacks"][0]
        events = [
            event.get("ResourceStatusReason", "") for event in cfn.describe_stack_events(StackName="s")["StackEvents"]
        ]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", ())}
        return stack["StackStatus"], outputs, events

    return run


def test_a_table_comes_changes_and_goes_with_its_stack(aws, deploy, server):
    db = aws("dynamodb")
    status, outputs, events = deploy(TABLE)
    assert status == "CREATE_COMPLETE", events
    assert outputs["Name"].startswith("s-T-")
    assert outputs["Arn"] == f"arn:aws:dynamodb:us-east-1:000000000000:table/{outputs['Name']}"
    described = db.describe_time_to_live(TableName=outputs["Name"])["TimeToLiveDescription"]
    assert described == {"TimeToLiveStatus": "ENABLED", "AttributeName": "until"}
    db.put_item(TableName=outputs["Name"], Item={"id": {"S": "a"}, "g": {"S": "x"}})
    index = {
        "IndexName": "by-g",
        "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    changed = {
        **TABLE,
        "AttributeDefinitions": [*TABLE["AttributeDefinitions"], {"AttributeName": "g", "AttributeType": "S"}],
        "GlobalSecondaryIndexes": [index],
        "TimeToLiveSpecification": {"AttributeName": "until", "Enabled": False},
        "Tags": [{"Key": "team", "Value": "red"}],
    }
    server.run(server.cloud.pipeline.advance(3600))  # time to live changes once an hour
    status, again, events = deploy(changed, update=True)
    assert (status, again["Name"]) == ("UPDATE_COMPLETE", outputs["Name"]), events
    assert db.scan(TableName=outputs["Name"], IndexName="by-g")["Count"] == 1
    assert db.describe_time_to_live(TableName=outputs["Name"])["TimeToLiveDescription"] == {
        "TimeToLiveStatus": "DISABLED"
    }
    tags = {tag["Key"]: tag["Value"] for tag in db.list_tags_of_resource(ResourceArn=outputs["Arn"])["Tags"]}
    assert tags["team"] == "red"
    aws("cloudformation").delete_stack(StackName="s")
    server.run(server.cloud.pipeline.advance(120))
    assert db.list_tables()["TableNames"] == []


def test_an_attribute_of_another_type_replaces_the_table(aws, deploy, server):
    _, outputs, _ = deploy(TABLE)
    numbered = {**TABLE, "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "N"}]}
    status, again, events = deploy(numbered, update=True)
    assert status == "UPDATE_COMPLETE", events
    assert again["Name"] != outputs["Name"]
    server.run(server.cloud.pipeline.advance(120))
    db = aws("dynamodb")
    assert db.list_tables()["TableNames"] == [again["Name"]]
    assert (
        db.describe_table(TableName=again["Name"])["Table"]["AttributeDefinitions"] == numbered["AttributeDefinitions"]
    )
    status, _, events = deploy({**numbered, "TableName": "mine"}, update=True)
    assert status == "UPDATE_COMPLETE", events
    status, _, events = deploy({**TABLE, "TableName": "mine"}, update=True)
    assert status == "UPDATE_ROLLBACK_COMPLETE"
    assert any("Rename mine" in reason for reason in events)


@pytest.mark.parametrize(
    "setting",
    [
        {"SSESpecification": {"SSEEnabled": True}},
        {"ContributorInsightsSpecification": {"Enabled": True}},
    ],
)
def test_settings_that_are_not_honoured_fail_the_stack_by_name(aws, deploy, setting):
    status, _, events = deploy({**TABLE, **setting})
    assert status.startswith("ROLLBACK")
    assert any(next(iter(setting)) in reason for reason in events)
    assert aws("dynamodb").list_tables()["TableNames"] == []


def test_settings_that_are_off_are_taken(deploy):
    off = {
        "SSESpecification": {"SSEEnabled": False},
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": "false"},
    }
    status, _, events = deploy({**TABLE, **off})
    assert status == "CREATE_COMPLETE", events


def test_a_kinesis_stream_is_refused_before_anything_is_made(deploy):
    with pytest.raises(ClientError, match="Property KinesisStreamSpecification of AWS::DynamoDB::Table is not supp"):
        deploy(
            {**TABLE, "KinesisStreamSpecification": {"StreamArn": "arn:aws:kinesis:us-east-1:000000000000:stream/s"}}
        )


def test_recovery_a_policy_and_maxima_come_and_go_with_the_template(aws, deploy):
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "111122223333"},
                                                      "Action": "dynamodb:GetItem", "Resource": "*"}]}  # fmt: skip
    with_all = {
        **TABLE,
        "BillingMode": "PAY_PER_REQUEST",
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": "true", "RecoveryPeriodInDays": "7"},
        "ResourcePolicy": {"PolicyDocument": policy},
        "OnDemandThroughput": {"MaxReadRequestUnits": "5"},
    }
    with_all.pop("ProvisionedThroughput", None)
    status, outputs, events = deploy(with_all)
    assert status == "CREATE_COMPLETE", events
    db = aws("dynamodb")

    def recovery():
        described = db.describe_continuous_backups(TableName=outputs["Name"])["ContinuousBackupsDescription"]
        return described["PointInTimeRecoveryDescription"]

    assert (recovery()["PointInTimeRecoveryStatus"], recovery()["RecoveryPeriodInDays"]) == ("ENABLED", 7)
    assert json.loads(db.get_resource_policy(ResourceArn=outputs["Arn"])["Policy"]) == policy
    maxima = db.describe_table(TableName=outputs["Name"])["Table"]["OnDemandThroughput"]
    assert maxima == {"MaxReadRequestUnits": 5, "MaxWriteRequestUnits": -1}
    without = {name: with_all[name] for name in with_all if name in TABLE or name == "BillingMode"}
    status, _, events = deploy(without, update=True)
    assert status == "UPDATE_COMPLETE", events
    assert recovery() == {"PointInTimeRecoveryStatus": "DISABLED"}
    assert "OnDemandThroughput" not in db.describe_table(TableName=outputs["Name"])["Table"]
    with pytest.raises(ClientError, match="PolicyNotFound"):
        db.get_resource_policy(ResourceArn=outputs["Arn"])


def test_an_import_is_refused_before_anything_is_made(deploy):
    with pytest.raises(ClientError, match="Property ImportSourceSpecification of AWS::DynamoDB::Table is not supp"):
        deploy({**TABLE, "ImportSourceSpecification": {"InputFormat": "CSV", "S3BucketSource": {"S3Bucket": "b"}}})
