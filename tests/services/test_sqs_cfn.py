"""AWS::SQS::Queue, QueuePolicy and QueueInlinePolicy: created, updated, removed and refused through CloudFormation."""

import json

import pytest

from tests.services.sqs_client import ARN, NO_QUEUE, attributes, refused


@pytest.fixture
def sqs(aws):
    return aws("sqs")


@pytest.fixture
def deploy(aws, clock):
    cfn = aws("cloudformation")

    def run(resources, update=False):
        outputs = {
            "Url": {"Value": {"Ref": "Q"}},
            "Arn": {"Value": {"Fn::GetAtt": ["Q", "Arn"]}},
            "Name": {"Value": {"Fn::GetAtt": ["Q", "QueueName"]}},
            "Url2": {"Value": {"Fn::GetAtt": ["Q", "QueueUrl"]}},
        }
        call = cfn.update_stack if update else cfn.create_stack
        call(StackName="s", TemplateBody=json.dumps({"Resources": resources, "Outputs": outputs}))
        clock.advance(120)
        stack = cfn.describe_stacks(StackName="s")["Stacks"][0]
        events = [
            event.get("ResourceStatusReason", "") for event in cfn.describe_stack_events(StackName="s")["StackEvents"]
        ]
        return stack["StackStatus"], {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", ())}, events

    return run


def queue(**properties):
    return {"Type": "AWS::SQS::Queue", "Properties": properties}


POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage"}]}


def test_a_queue_with_its_dead_letter_queue_comes_changes_and_goes_with_its_stack(sqs, aws, deploy, clock):
    redrive = {"deadLetterTargetArn": {"Fn::GetAtt": ["D", "Arn"]}, "maxReceiveCount": 3}
    resources = {
        "D": queue(MessageRetentionPeriod=1209600),
        "Q": queue(
            VisibilityTimeout=90, DelaySeconds="5", RedrivePolicy=redrive, Tags=[{"Key": "team", "Value": "blue"}]
        ),
    }
    status, outputs, events = deploy(resources)
    assert status == "CREATE_COMPLETE", events
    assert outputs["Name"].startswith("s-Q-")
    assert outputs["Arn"] == f"{ARN}:{outputs['Name']}"
    assert outputs["Url"] == outputs["Url2"] and outputs["Url"].endswith(f"/000000000000/{outputs['Name']}")
    found = attributes(sqs, outputs["Url"])
    assert (found["VisibilityTimeout"], found["DelaySeconds"]) == ("90", "5")
    assert json.loads(found["RedrivePolicy"])["maxReceiveCount"] == 3
    tags = sqs.list_queue_tags(QueueUrl=outputs["Url"])["Tags"]
    assert (tags["team"], tags["aws:cloudformation:logical-id"]) == ("blue", "Q")
    resources["Q"] = queue(VisibilityTimeout=60, Tags=[{"Key": "team", "Value": "red"}])
    status, again, events = deploy(resources, update=True)
    assert status == "UPDATE_COMPLETE", events
    assert again == outputs
    found = attributes(sqs, outputs["Url"])
    assert (found["VisibilityTimeout"], found["DelaySeconds"]) == ("60", "0")
    assert "RedrivePolicy" not in found
    assert sqs.list_queue_tags(QueueUrl=outputs["Url"])["Tags"]["team"] == "red"
    aws("cloudformation").delete_stack(StackName="s")
    clock.advance(120)
    refused(NO_QUEUE, sqs.get_queue_url, QueueName=outputs["Name"])


def test_a_fifo_queue_without_a_name_gets_one_that_ends_with_fifo(sqs, deploy):
    properties = {
        "FifoQueue": True,
        "ContentBasedDeduplication": "true",
        "DeduplicationScope": "messageGroup",
        "FifoThroughputLimit": "perMessageGroupId",
        "MaximumMessageSize": 2048,
        "ReceiveMessageWaitTimeSeconds": 3,
        "SqsManagedSseEnabled": False,
        "RedriveAllowPolicy": {"redrivePermission": "denyAll"},
    }
    status, outputs, events = deploy({"Q": queue(**properties)})
    assert status == "CREATE_COMPLETE", events
    assert outputs["Name"].endswith(".fifo")
    found = attributes(sqs, outputs["Url"])
    assert found["ContentBasedDeduplication"] == found["FifoQueue"] == "true"
    assert found["FifoThroughputLimit"] == "perMessageGroupId"
    assert (found["MaximumMessageSize"], found["ReceiveMessageWaitTimeSeconds"]) == ("2048", "3")
    assert found["SqsManagedSseEnabled"] == "false"
    assert json.loads(found["RedriveAllowPolicy"]) == {"redrivePermission": "denyAll"}


def test_another_name_replaces_the_queue(sqs, deploy):
    _, first, _ = deploy({"Q": queue(QueueName="one")})
    status, second, events = deploy({"Q": queue(QueueName="two")}, update=True)
    assert status == "UPDATE_COMPLETE", events
    assert (first["Name"], second["Name"]) == ("one", "two")
    refused(NO_QUEUE, sqs.get_queue_url, QueueName="one")


@pytest.mark.parametrize("kind", ["AWS::SQS::QueuePolicy", "AWS::SQS::QueueInlinePolicy"])
def test_a_policy_is_set_changed_and_taken_away(sqs, deploy, kind):
    target = {"Queues": [{"Ref": "Q"}]} if kind.endswith("QueuePolicy") else {"Queue": {"Ref": "Q"}}

    def with_policy(document):
        return {"Q": queue(QueueName="q"), "P": {"Type": kind, "Properties": {"PolicyDocument": document, **target}}}

    status, outputs, events = deploy(with_policy(POLICY))
    assert status == "CREATE_COMPLETE", events
    assert json.loads(attributes(sqs, outputs["Url"])["Policy"]) == POLICY
    other = {**POLICY, "Id": "other"}
    status, _, events = deploy(with_policy(other), update=True)
    assert status == "UPDATE_COMPLETE", events
    assert json.loads(attributes(sqs, outputs["Url"])["Policy"]) == other
    status, _, events = deploy({"Q": queue(QueueName="q")}, update=True)
    assert status == "UPDATE_COMPLETE", events
    assert "Policy" not in attributes(sqs, outputs["Url"])


def test_what_the_api_refuses_a_template_refuses(sqs, deploy):
    status, _, events = deploy({"Q": queue(KmsMasterKeyId="alias/aws/sqs", SqsManagedSseEnabled=True)})
    assert status == "ROLLBACK_COMPLETE"
    assert any("one type of server-side encryption" in event for event in events)
