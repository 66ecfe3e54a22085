"""Streams of AWS::DynamoDB::Table through CloudFormation."""

import json

import pytest

TABLE = {
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "BillingMode": "PAY_PER_REQUEST",
}


@pytest.fixture
def deploy(aws, server):
    cfn = aws("cloudformation")

    def run(stream, update=False, attribute=True, **more):
        properties = {**TABLE, **({"StreamSpecification": stream} if stream else {}), **more}
        outputs = {"Name": {"Value": {"Ref": "T"}}}
        if attribute:
            outputs["Stream"] = {"Value": {"Fn::GetAtt": ["T", "StreamArn"]}}
        body = {"Resources": {"T": {"Type": "AWS::DynamoDB::Table", "Properties": properties}}, "Outputs": outputs}
        call = cfn.update_stack if update else cfn.create_stack
        call(StackName="s", TemplateBody=json.dumps(body))
        server.quiet()
        server.run(server.cloud.pipeline.advance(120))
        stack = cfn.describe_stacks(StackName="s")["Stacks"][0]
        reasons = [e.get("ResourceStatusReason", "") for e in cfn.describe_stack_events(StackName="s")["StackEvents"]]
        return stack["StackStatus"], {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", ())}, reasons

    return run


def test_a_view_alone_enables_a_stream_and_its_arn_is_an_attribute(aws, deploy):
    db = aws("dynamodb")
    status, outputs, reasons = deploy({"StreamViewType": "NEW_IMAGE"})
    assert status == "CREATE_COMPLETE", reasons
    table = db.describe_table(TableName=outputs["Name"])["Table"]
    assert table["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    assert outputs["Stream"] == table["LatestStreamArn"]
    db.put_item(TableName=outputs["Name"], Item={"id": {"S": "a"}})
    status, same, reasons = deploy(
        {"StreamViewType": "NEW_IMAGE"}, update=True, TableClass="STANDARD_INFREQUENT_ACCESS"
    )
    assert (status, same["Stream"]) == ("UPDATE_COMPLETE", outputs["Stream"]), reasons
    status, _, reasons = deploy(None, update=True, attribute=False)
    assert status == "UPDATE_COMPLETE", reasons
    assert "StreamSpecification" not in db.describe_table(TableName=outputs["Name"])["Table"]
    stream = aws("dynamodbstreams").describe_stream(StreamArn=outputs["Stream"])["StreamDescription"]
    assert stream["StreamStatus"] == "DISABLED"
    status, again, reasons = deploy({"StreamViewType": "OLD_IMAGE"}, update=True)
    assert status == "UPDATE_COMPLETE", reasons
    assert again["Stream"] not in ("", outputs["Stream"])


def test_another_view_of_an_enabled_stream_is_refused_as_update_table_refuses_it(aws, deploy):
    _, outputs, _ = deploy({"StreamViewType": "NEW_IMAGE"})
    status, same, reasons = deploy({"StreamViewType": "OLD_IMAGE"}, update=True)
    assert status == "UPDATE_ROLLBACK_COMPLETE"
    assert any("Table already has an enabled stream" in reason for reason in reasons)
    assert same == outputs


def test_a_streams_resource_policy_and_a_missing_view_fail_by_name(aws, deploy):
    status, _, reasons = deploy({"StreamViewType": "NEW_IMAGE", "ResourcePolicy": {"PolicyDocument": {}}})
    assert status.startswith("ROLLBACK")
    assert any("StreamSpecification.ResourcePolicy" in reason for reason in reasons)
    aws("cloudformation").delete_stack(StackName="s")
    status, _, reasons = deploy({"StreamViewType": ""})
    assert status.startswith("ROLLBACK")
    assert any("treamViewType" in reason for reason in reasons), reasons
    assert aws("dynamodb").list_tables()["TableNames"] == []
