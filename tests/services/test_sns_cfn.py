"""SNS's CloudFormation types, through stacks, and SAM's SNS event."""

import io
import json
import zipfile

import pytest
from botocore.exceptions import ClientError

TOPIC = {
    "Type": "AWS::SNS::Topic",
    "Properties": {
        "DisplayName": "News",
        "SignatureVersion": 2,
        "Subscription": [{"Protocol": "sqs", "Endpoint": {"Fn::GetAtt": ["Queue", "Arn"]}}],
        "DeliveryStatusLogging": [
            {
                "Protocol": "http/s",
                "SuccessFeedbackRoleArn": "arn:aws:iam::000000000000:role/f",
                "SuccessFeedbackSampleRate": 10,
            }
        ],
        "Tags": [{"Key": "team", "Value": "shop"}],
    },
}
QUEUE = {"Type": "AWS::SQS::Queue"}
SUBSCRIPTION = {
    "Type": "AWS::SNS::Subscription",
    "Properties": {
        "TopicArn": {"Ref": "News"},
        "Protocol": "lambda",
        "Endpoint": "arn:aws:lambda:us-east-1:000000000000:function:worker",
        "FilterPolicy": {"kind": ["a", {"prefix": "b"}]},
        "RedrivePolicy": {"deadLetterTargetArn": {"Fn::GetAtt": ["Queue", "Arn"]}},
    },
}
POLICY = {
    "Type": "AWS::SNS::TopicPolicy",
    "Properties": {
        "Topics": [{"Ref": "News"}],
        "PolicyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "events.amazonaws.com"},
                    "Action": "sns:Publish",
                    "Resource": {"Ref": "News"},
                }
            ],
        },
    },
}


def template(outputs=True, **resources):
    found = {
        "Topic": {"Value": {"Ref": "News"}},
        "TopicName": {"Value": {"Fn::GetAtt": ["News", "TopicName"]}},
        "TopicArn": {"Value": {"Fn::GetAtt": ["News", "TopicArn"]}},
    }
    return json.dumps({"Resources": resources, **({"Outputs": found} if outputs else {})})


def outputs(cf, name):
    stack = cf.describe_stacks(StackName=name)["Stacks"][0]
    assert stack["StackStatus"].endswith("_COMPLETE") and "ROLLBACK" not in stack["StackStatus"], stack
    return {each["OutputKey"]: each["OutputValue"] for each in stack.get("Outputs", ())}


def subscriptions(sns, topic):
    listed = sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    return {each["Protocol"]: each["SubscriptionArn"] for each in listed}


def test_a_stack_makes_changes_and_deletes_topics_subscriptions_and_policies(cloud, aws):
    cf, sns = aws("cloudformation"), aws("sns")
    cf.create_stack(
        StackName="shop", TemplateBody=template(Queue=QUEUE, News=TOPIC, Worker=SUBSCRIPTION, Access=POLICY)
    )
    cloud.quiet()
    out = outputs(cf, "shop")
    topic = out["Topic"]
    assert topic == out["TopicArn"] and topic.endswith(f":{out['TopicName']}")
    assert out["TopicName"].startswith("shop-News-")
    shown = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    assert (shown["DisplayName"], shown["SignatureVersion"]) == ("News", "2")
    assert shown["HTTPSuccessFeedbackSampleRate"] == "10"
    assert json.loads(shown["Policy"])["Statement"][0]["Principal"] == {"Service": "events.amazonaws.com"}
    assert {"Key": "team", "Value": "shop"} in sns.list_tags_for_resource(ResourceArn=topic)["Tags"]
    arns = subscriptions(sns, topic)
    assert set(arns) == {"sqs", "lambda"}
    attributes = sns.get_subscription_attributes(SubscriptionArn=arns["lambda"])["Attributes"]
    assert json.loads(attributes["FilterPolicy"]) == {"kind": ["a", {"prefix": "b"}]}
    assert "deadLetterTargetArn" in attributes["RedrivePolicy"]

    changed = {**TOPIC, "Properties": {"DisplayName": "Olds"}}
    worker = {**SUBSCRIPTION, "Properties": {**SUBSCRIPTION["Properties"], "FilterPolicyScope": "MessageBody"}}
    worker["Properties"]["FilterPolicy"] = {"order": {"kind": ["a"]}}
    del worker["Properties"]["RedrivePolicy"]
    cf.update_stack(StackName="shop", TemplateBody=template(Queue=QUEUE, News=changed, Worker=worker))
    cloud.quiet()
    assert outputs(cf, "shop")["Topic"] == topic
    shown = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    assert (shown["DisplayName"], shown["SignatureVersion"]) == ("Olds", "1")
    assert "HTTPSuccessFeedbackRoleArn" not in shown
    assert json.loads(shown["Policy"])["Statement"][0]["Sid"] == "__default_statement_ID"
    assert subscriptions(sns, topic) == {"lambda": arns["lambda"]}
    attributes = sns.get_subscription_attributes(SubscriptionArn=arns["lambda"])["Attributes"]
    assert json.loads(attributes["FilterPolicy"]) == {"order": {"kind": ["a"]}}
    assert "RedrivePolicy" not in attributes
    assert {"Key": "team", "Value": "shop"} not in sns.list_tags_for_resource(ResourceArn=topic)["Tags"]

    cf.delete_stack(StackName="shop")
    cloud.quiet()
    assert sns.list_topics()["Topics"] == [] and sns.list_subscriptions()["Subscriptions"] == []


def test_a_subscriber_lives_in_a_stack_of_its_own(cloud, aws):
    """B7.1, B7.2: the publisher's stack is a topic alone, subscribers come and go without touching it."""
    cf, sns = aws("cloudformation"), aws("sns")
    plain = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "billing-notifier"}}
    cf.create_stack(StackName="billing", TemplateBody=template(News=plain))
    cloud.quiet()
    topic = outputs(cf, "billing")["Topic"]
    subscriber = {**SUBSCRIPTION, "Properties": {"TopicArn": topic, "Protocol": "email", "Endpoint": "a@example.org"}}
    cf.create_stack(StackName="crm", TemplateBody=template(outputs=False, Worker=subscriber))
    cloud.quiet()
    outputs(cf, "crm")
    assert subscriptions(sns, topic) == {"email": "PendingConfirmation"}
    cf.delete_stack(StackName="crm")
    cloud.quiet()
    assert subscriptions(sns, topic) == {}
    assert outputs(cf, "billing")["Topic"] == topic


def test_a_fifo_topic_gets_a_name_that_ends_in_fifo(cloud, aws):
    cf = aws("cloudformation")
    fifo = {"Type": "AWS::SNS::Topic", "Properties": {"FifoTopic": True, "ContentBasedDeduplication": "true"}}
    cf.create_stack(StackName="shop", TemplateBody=template(News=fifo))
    cloud.quiet()
    out = outputs(cf, "shop")
    assert out["TopicName"].endswith(".fifo")
    shown = aws("sns").get_topic_attributes(TopicArn=out["Topic"])["Attributes"]
    assert (shown["FifoTopic"], shown["ContentBasedDeduplication"]) == ("true", "true")


def test_an_inline_policy_belongs_to_one_topic(cloud, aws):
    cf, sns = aws("cloudformation"), aws("sns")
    inline = {
        "Type": "AWS::SNS::TopicInlinePolicy",
        "Properties": {"TopicArn": {"Ref": "News"}, "PolicyDocument": POLICY["Properties"]["PolicyDocument"]},
    }
    plain = {"Type": "AWS::SNS::Topic"}
    cf.create_stack(StackName="shop", TemplateBody=template(News=plain, Access=inline))
    cloud.quiet()
    topic = outputs(cf, "shop")["Topic"]
    policy = json.loads(sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])
    assert policy["Statement"][0]["Principal"] == {"Service": "events.amazonaws.com"}
    cf.update_stack(StackName="shop", TemplateBody=template(News=plain))
    cloud.quiet()
    policy = json.loads(sns.get_topic_attributes(TopicArn=topic)["Attributes"]["Policy"])
    assert policy["Statement"][0]["Sid"] == "__default_statement_ID"


def test_a_stack_does_not_take_over_a_topic_that_is_there(cloud, aws):
    cf, sns = aws("cloudformation"), aws("sns")
    arn = sns.create_topic(Name="news")["TopicArn"]
    taken = {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "news"}}
    cf.create_stack(StackName="shop", TemplateBody=template(News=taken))
    cloud.quiet()
    assert cf.describe_stacks(StackName="shop")["Stacks"][0]["StackStatus"] == "ROLLBACK_COMPLETE"
    assert sns.list_topics()["Topics"] == [{"TopicArn": arn}]


@pytest.mark.parametrize(
    "properties",
    [{"ArchivePolicy": {"MessageRetentionPeriod": "30"}}, {"Colour": "red"}],
)
def test_properties_that_are_not_honoured_are_refused_by_name(aws, properties):
    cf = aws("cloudformation")
    topic = {"Type": "AWS::SNS::Topic", "Properties": properties}
    with pytest.raises(ClientError) as error:
        cf.create_stack(StackName="shop", TemplateBody=template(outputs=False, News=topic))
    words = f"Property {next(iter(properties))} of AWS::SNS::Topic is not supported by Cumulet"
    assert words in error.value.response["Error"]["Message"]


@pytest.mark.slow
def test_sams_sns_event_deploys_and_runs_the_function(cloud, aws):
    cf, sns, s3 = aws("cloudformation"), aws("sns"), aws("s3")
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        code = "def handler(event, context):\n    print('got', event['Records'][0]['Sns']['Message'])\n"
        archive.writestr(zipfile.ZipInfo("index.py"), code)
    s3.create_bucket(Bucket="code")
    s3.put_object(Bucket="code", Key="code.zip", Body=sink.getvalue())
    body = {
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {
            "News": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "news"}},
            "Worker": {
                "Type": "AWS::Serverless::Function",
                "Properties": {
                    "FunctionName": "worker",
                    "Runtime": "python3.12",
                    "Handler": "index.handler",
                    "CodeUri": "s3://code/code.zip",
                    "Events": {
                        "News": {
                            "Type": "SNS",
                            "Properties": {"Topic": {"Ref": "News"}, "FilterPolicy": {"kind": ["a"]}},
                        }
                    },
                },
            },
        },
    }
    cf.create_stack(
        StackName="shop",
        TemplateBody=json.dumps(body),
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    cloud.quiet()
    outputs(cf, "shop")
    topic = sns.list_topics()["Topics"][0]["TopicArn"]
    for kind in ("a", "b"):
        attributes = {"kind": {"DataType": "String", "StringValue": kind}}
        sns.publish(TopicArn=topic, Message=kind, MessageAttributes=attributes)
    cloud.quiet()
    events = aws("logs").filter_log_events(logGroupName="/aws/lambda/worker", filterPattern="got")["events"]
    assert [event["message"].strip() for event in events] == ["got a"]
