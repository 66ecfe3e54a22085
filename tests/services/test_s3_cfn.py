"""S3's CloudFormation types, through stacks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

BUCKET = {
    "Type": "AWS::S3::Bucket",
    "Properties": {
        "VersioningConfiguration": {"Status": "Enabled"},
        "BucketEncryption": {
            "ServerSideEncryptionConfiguration": [{"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        },
        "PublicAccessBlockConfiguration": {"BlockPublicAcls": "true", "BlockPublicPolicy": True},
        "Tags": [{"Key": "team", "Value": "shop"}],
    },
}
POLICY = {
    "Type": "AWS::S3::BucketPolicy",
    "Properties": {
        "Bucket": {"Ref": "Store"},
        "PolicyDocument": {
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": ["s3:GetObject"],
                    "Principal": {"Service": "serverlessrepo.amazonaws.com"},
                    "Resource": {"Fn::Join": ["", [{"Fn::GetAtt": ["Store", "Arn"]}, "/*"]]},
                }
            ]
        },
    },
}


def template(**resources: Any) -> str:
    outputs = {
        "Name": {"Value": {"Ref": "Store"}},
        "Domain": {"Value": {"Fn::GetAtt": ["Store", "RegionalDomainName"]}},
    }
    return json.dumps({"Resources": resources, "Outputs": outputs})


def outputs(cf: Any, name: str) -> dict[str, str]:
    stack = cf.describe_stacks(StackName=name)["Stacks"][0]
    assert stack["StackStatus"].endswith("_COMPLETE") and "ROLLBACK" not in stack["StackStatus"], stack
    return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}


def test_a_stack_makes_changes_and_deletes_a_bucket_with_its_policy(cloud: Any, aws: Any) -> None:
    cf, s3 = aws("cloudformation"), aws("s3")
    cf.create_stack(StackName="shop", TemplateBody=template(Store=BUCKET, Access=POLICY))
    cloud.quiet()
    out = outputs(cf, "shop")
    name = out["Name"]
    assert name == name.lower() and out["Domain"] == f"{name}.s3.us-east-1.amazonaws.com"
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    assert {"Key": "team", "Value": "shop"} in s3.get_bucket_tagging(Bucket=name)["TagSet"]
    switches = s3.get_public_access_block(Bucket=name)["PublicAccessBlockConfiguration"]
    assert (switches["BlockPublicAcls"], switches["RestrictPublicBuckets"]) == (True, False)
    assert f"arn:aws:s3:::{name}/*" in s3.get_bucket_policy(Bucket=name)["Policy"]

    changed = {**BUCKET, "Properties": {"OwnershipControls": {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}}}
    cf.update_stack(StackName="shop", TemplateBody=template(Store=changed, Access=POLICY))
    cloud.quiet()
    assert outputs(cf, "shop")["Name"] == name
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Suspended"
    assert s3.get_bucket_ownership_controls(Bucket=name)["OwnershipControls"]["Rules"] == [
        {"ObjectOwnership": "ObjectWriter"}
    ]

    cf.delete_stack(StackName="shop")
    cloud.quiet()
    assert s3.list_buckets()["Buckets"] == []


def test_a_setting_that_is_not_honoured_is_refused_by_name(cloud: Any, aws: Any) -> None:
    cf = aws("cloudformation")
    bucket = {"Type": "AWS::S3::Bucket", "Properties": {"LoggingConfiguration": {"LogFilePrefix": "logs/"}}}
    with pytest.raises(ClientError, match="Property LoggingConfiguration of AWS::S3::Bucket is not supported"):
        cf.create_stack(StackName="site", TemplateBody=template(Store=bucket))
    public = {"Type": "AWS::S3::Bucket", "Properties": {"AccessControl": "PublicRead"}}
    cf.create_stack(StackName="open", TemplateBody=template(Store=public))
    cloud.quiet()
    assert cf.describe_stacks(StackName="open")["Stacks"][0]["StackStatus"] == "ROLLBACK_COMPLETE"
    assert aws("s3").list_buckets()["Buckets"] == []
