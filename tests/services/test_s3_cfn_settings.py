"""Notifications, CORS, lifecycle and websites of buckets, through stacks; SAM's S3 event; CDK's way to notifications."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from .test_s3_cfn import outputs

ANYONE = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}
SETTINGS = {
    "CorsConfiguration": {
        "CorsRules": [
            {
                "Id": "app",
                "AllowedOrigins": ["*"],
                "AllowedMethods": ["GET"],
                "AllowedHeaders": ["*"],
                "ExposedHeaders": ["ETag"],
                "MaxAge": "3000",
            }
        ]
    },
    "LifecycleConfiguration": {
        "Rules": [
            {"Id": "tmp", "Status": "Enabled", "Prefix": "tmp/", "ExpirationInDays": "7"},
            {
                "Id": "all",
                "Status": "Enabled",
                "TagFilters": [{"Key": "a", "Value": 1}, {"Key": "b", "Value": "2"}],
                "ObjectSizeGreaterThan": "1000",
                "NoncurrentVersionExpiration": {"NoncurrentDays": 30, "NewerNoncurrentVersions": 2},
                "Transitions": [{"TransitionInDays": 30, "StorageClass": "STANDARD_IA"}],
            },
            {"Id": "date", "Status": "Disabled", "ExpirationDate": "2030-01-01T00:00:00Z"},
            {"Id": "parts", "Status": "Enabled", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}},
        ]
    },
    "NotificationConfiguration": {
        "QueueConfigurations": [
            {
                "Event": "s3:ObjectCreated:*",
                "Queue": {"Fn::GetAtt": ["Told", "Arn"]},
                "Filter": {"S3Key": {"Rules": [{"Name": "suffix", "Value": ".jpg"}]}},
            }
        ],
        "TopicConfigurations": [{"Event": "s3:ObjectRemoved:*", "Topic": {"Ref": "Topic"}}],
        "EventBridgeConfiguration": {"EventBridgeEnabled": "true"},
    },
    "PublicAccessBlockConfiguration": {"BlockPublicPolicy": "false"},
    "WebsiteConfiguration": {
        "IndexDocument": "index.html",
        "ErrorDocument": "oops.html",
        "RoutingRules": [
            {
                "RoutingRuleCondition": {"KeyPrefixEquals": "old/"},
                "RedirectRule": {"ReplaceKeyPrefixWith": "new/", "HttpRedirectCode": 302},
            }
        ],
    },
    "AccelerateConfiguration": {"AccelerationStatus": "Enabled"},
}


def template(properties: dict[str, Any]) -> str:
    resource = {"Fn::Join": ["", [{"Fn::GetAtt": ["Store", "Arn"]}, "/*"]]}
    policy = {"Bucket": {"Ref": "Store"}, "PolicyDocument": {"Statement": [{**ANYONE, "Resource": resource}]}}
    return json.dumps(
        {
            "Resources": {
                "Told": {"Type": "AWS::SQS::Queue"},
                "Topic": {"Type": "AWS::SNS::Topic"},
                "Store": {"Type": "AWS::S3::Bucket", "Properties": properties},
                "Access": {"Type": "AWS::S3::BucketPolicy", "Properties": policy},
            },
            "Outputs": {
                "Name": {"Value": {"Ref": "Store"}},
                "Site": {"Value": {"Fn::GetAtt": ["Store", "WebsiteURL"]}},
                "Queue": {"Value": {"Ref": "Told"}},
            },
        }
    )


def test_a_bucket_with_all_its_settings_is_made_changed_and_deleted(cloud: Any, aws: Any) -> None:
    cf, s3, sqs = aws("cloudformation"), aws("s3"), aws("sqs")
    cf.create_stack(StackName="shop", TemplateBody=template(SETTINGS))
    cloud.quiet()
    out = outputs(cf, "shop")
    name = out["Name"]
    (rule,) = s3.get_bucket_cors(Bucket=name)["CORSRules"]
    assert rule["MaxAgeSeconds"] == 3000 and rule["ExposeHeaders"] == ["ETag"] and rule["ID"] == "app"
    tmp, all_, date, parts = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    assert tmp["Filter"] == {"Prefix": "tmp/"} and tmp["Expiration"] == {"Days": 7}
    both = {"Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}], "ObjectSizeGreaterThan": 1000}
    assert all_["Filter"] == {"And": both} and all_["NoncurrentVersionExpiration"]["NewerNoncurrentVersions"] == 2
    assert all_["Transitions"] == [{"Days": 30, "StorageClass": "STANDARD_IA"}]
    assert date["Expiration"]["Date"].isoformat() == "2030-01-01T00:00:00+00:00" and date["Status"] == "Disabled"
    assert parts["Filter"] == {"Prefix": ""} and parts["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 1}
    told = s3.get_bucket_notification_configuration(Bucket=name)
    assert told["EventBridgeConfiguration"] == {} and told["TopicConfigurations"][0]["Events"] == ["s3:ObjectRemoved:*"]
    assert s3.get_bucket_accelerate_configuration(Bucket=name)["Status"] == "Enabled"
    s3.put_object(Bucket=name, Key="index.html", Body=b"welcome")
    s3.put_object(Bucket=name, Key="a.jpg", Body=b"1")
    with urllib.request.urlopen(f"{out['Site']}/", timeout=30) as answer:
        assert answer.read() == b"welcome"
    got = sqs.receive_message(QueueUrl=out["Queue"], MaxNumberOfMessages=10)["Messages"]
    records = [record for message in got for record in json.loads(message["Body"]).get("Records", [])]
    assert [record["s3"]["object"]["key"] for record in records] == ["a.jpg"]

    bare = {"PublicAccessBlockConfiguration": {"BlockPublicPolicy": "false"}}
    cf.update_stack(StackName="shop", TemplateBody=template(bare))
    cloud.quiet()
    assert outputs(cf, "shop")["Name"] == name
    assert "TopicConfigurations" not in s3.get_bucket_notification_configuration(Bucket=name)
    for read, code in (
        (s3.get_bucket_cors, "NoSuchCORSConfiguration"),
        (s3.get_bucket_lifecycle_configuration, "NoSuchLifecycleConfiguration"),
        (s3.get_bucket_website, "NoSuchWebsiteConfiguration"),
    ):
        try:
            read(Bucket=name)
        except s3.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] == code
        else:
            raise AssertionError(code)
    assert s3.get_bucket_accelerate_configuration(Bucket=name)["Status"] == "Suspended"
    s3.delete_objects(Bucket=name, Delete={"Objects": [{"Key": "index.html"}, {"Key": "a.jpg"}]})
    cf.delete_stack(StackName="shop")
    cloud.quiet()
    assert s3.list_buckets()["Buckets"] == []


def test_a_member_that_is_not_honoured_is_refused_by_name(cloud: Any, aws: Any) -> None:
    cf = aws("cloudformation")
    rule = {"Status": "Enabled", "ExpirationInDays": 1, "Unknown": 1}
    cf.create_stack(StackName="shop", TemplateBody=template({"LifecycleConfiguration": {"Rules": [rule]}}))
    cloud.quiet()
    events = cf.describe_stack_events(StackName="shop")["StackEvents"]
    reasons = [each.get("ResourceStatusReason", "") for each in events]
    assert any("LifecycleConfiguration.Rule.Unknown of AWS::S3::Bucket is not supported" in each for each in reasons)
    assert aws("s3").list_buckets()["Buckets"] == []


CODE = """
import boto3, os
def handler(event, context):
    keys = [record["s3"]["object"]["key"] for record in event["Records"]]
    boto3.client("sqs").send_message(QueueUrl=os.environ["QUEUE"], MessageBody=",".join(keys))
"""
SAM = {
    "Transform": "AWS::Serverless-2016-10-31",
    "Resources": {
        "Told": {"Type": "AWS::SQS::Queue"},
        "Store": {"Type": "AWS::S3::Bucket"},
        "Worker": {
            "Type": "AWS::Serverless::Function",
            "Properties": {
                "InlineCode": CODE,
                "Handler": "index.handler",
                "Runtime": "python3.11",
                "Timeout": 60,
                "Environment": {"Variables": {"QUEUE": {"Ref": "Told"}}},
                "Events": {
                    "Upload": {
                        "Type": "S3",
                        "Properties": {
                            "Bucket": {"Ref": "Store"},
                            "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:Delete"],
                            "Filter": {"S3Key": {"Rules": [{"Name": "prefix", "Value": "in/"}]}},
                        },
                    }
                },
            },
        },
    },
    "Outputs": {"Name": {"Value": {"Ref": "Store"}}, "Queue": {"Value": {"Ref": "Told"}}},
}


def test_sams_s3_event_runs_the_function(cloud: Any, aws: Any) -> None:
    cf, s3 = aws("cloudformation"), aws("s3")
    cf.create_stack(
        StackName="sam", TemplateBody=json.dumps(SAM), Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
    )
    cloud.quiet()
    out = outputs(cf, "sam")
    s3.put_object(Bucket=out["Name"], Key="in/a", Body=b"1")
    s3.put_object(Bucket=out["Name"], Key="out/b", Body=b"1")
    s3.delete_object(Bucket=out["Name"], Key="in/a")
    cloud.quiet()
    got = aws("sqs").receive_message(QueueUrl=out["Queue"], MaxNumberOfMessages=10)["Messages"]
    assert [message["Body"] for message in got] == ["in/a", "in/a"]


HANDLER = """
import boto3, json, urllib.request
def handler(event, context):
    properties = event["ResourceProperties"]
    wanted = {} if event["RequestType"] == "Delete" else properties["NotificationConfiguration"]
    boto3.client("s3").put_bucket_notification_configuration(
        Bucket=properties["BucketName"], NotificationConfiguration=wanted,
        SkipDestinationValidation=properties["SkipDestinationValidation"] == "true")
    answer = {"Status": "SUCCESS", "PhysicalResourceId": "told", "Data": {}}
    answer |= {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    urllib.request.urlopen(urllib.request.Request(event["ResponseURL"], json.dumps(answer).encode(), method="PUT"))
"""


def test_a_custom_resource_may_set_notifications(cloud: Any, aws: Any) -> None:
    cf, s3, sqs = aws("cloudformation"), aws("s3"), aws("sqs")
    role = f"arn:aws:iam::{'0' * 12}:role/r"
    function = {
        "Code": {"ZipFile": HANDLER},
        "Handler": "index.handler",
        "Role": role,
        "Runtime": "python3.11",
        "Timeout": 60,
    }
    told = {"Events": ["s3:ObjectCreated:*"], "QueueArn": {"Fn::GetAtt": ["Told", "Arn"]}}
    custom = {
        "ServiceToken": {"Fn::GetAtt": ["Handler", "Arn"]},
        "BucketName": {"Ref": "Store"},
        "NotificationConfiguration": {"QueueConfigurations": [told]},
        "SkipDestinationValidation": False,
    }
    resources = {
        "Told": {"Type": "AWS::SQS::Queue"},
        "Store": {"Type": "AWS::S3::Bucket"},
        "Handler": {"Type": "AWS::Lambda::Function", "Properties": function},
        "Notifications": {"Type": "Custom::S3BucketNotifications", "Properties": custom},
    }
    body = json.dumps({"Resources": resources, "Outputs": SAM["Outputs"]})
    cf.create_stack(StackName="cdk", TemplateBody=body)
    cloud.quiet()
    out = outputs(cf, "cdk")
    s3.put_object(Bucket=out["Name"], Key="a", Body=b"1")
    got = sqs.receive_message(QueueUrl=out["Queue"], MaxNumberOfMessages=10)["Messages"]
    assert [json.loads(message["Body"]).get("Event", "event") for message in got] == ["s3:TestEvent", "event"]
