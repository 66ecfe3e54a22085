"""Storage for microservices: direct access to objects for authorized clients, triggers between stores, a site's front end."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config

from cumulet.testing import deployment

DAY_S = 86_400  # what is signed at real time, which the virtual clock is behind, has expired a day later
METADATA = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Files:
    Type: AWS::S3::Bucket
  Index:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{ AttributeName: key, AttributeType: S }]
      KeySchema: [{ AttributeName: key, KeyType: HASH }]
  Note:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: src/
      Handler: note.handler
      Runtime: python3.12
      Environment: { Variables: { TABLE: !Ref Index } }
      Policies:
        - DynamoDBCrudPolicy: { TableName: !Ref Index }
        - S3ReadPolicy: { BucketName: !Sub "${AWS::StackName}-files" }
      Events:
        Files: { Type: S3, Properties: { Bucket: !Ref Files, Events: ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"] } }
Outputs:
  Files: { Value: !Ref Files }
  Index: { Value: !Ref Index }
"""
NOTE = """\
import os
from urllib.parse import unquote_plus

import boto3

s3, table = boto3.client("s3"), boto3.resource("dynamodb").Table(os.environ["TABLE"])


def handler(event, context):
    for record in event["Records"]:
        bucket, item = record["s3"]["bucket"]["name"], record["s3"]["object"]
        key = unquote_plus(item["key"])
        if record["eventName"].startswith("ObjectRemoved"):
            table.delete_item(Key={"key": key})
        else:
            kind = s3.head_object(Bucket=bucket, Key=key)["ContentType"]
            table.put_item(Item={"key": key, "size": item["size"], "etag": item["eTag"], "type": kind})
"""
RING = """\
Transform: AWS::Serverless-2016-10-31
Globals:
  Function:
    CodeUri: src/
    Runtime: python3.12
    Environment: { Variables: { TABLE: !Ref Table, QUEUE: !Ref Queue, TOPIC: !Ref Topic } }
Resources:
  Bucket:
    Type: AWS::S3::Bucket
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{ AttributeName: id, AttributeType: S }]
      KeySchema: [{ AttributeName: id, KeyType: HASH }]
      StreamSpecification: { StreamViewType: NEW_IMAGE }
  Queue:
    Type: AWS::SQS::Queue
    Properties: { VisibilityTimeout: 60 }
  Topic:
    Type: AWS::SNS::Topic
  OfBucket:
    Type: AWS::Serverless::Function
    Properties:
      Handler: ring.of_bucket
      Policies: [DynamoDBWritePolicy: { TableName: !Ref Table }, AmazonS3ReadOnlyAccess]
      Events: { On: { Type: S3, Properties: { Bucket: !Ref Bucket, Events: "s3:ObjectCreated:*" } } }
  OfTable:
    Type: AWS::Serverless::Function
    Properties:
      Handler: ring.of_table
      Policies: [SQSSendMessagePolicy: { QueueName: !GetAtt Queue.QueueName }]
      Events: { On: { Type: DynamoDB, Properties: { Stream: !GetAtt Table.StreamArn, StartingPosition: TRIM_HORIZON } } }
  OfQueue:
    Type: AWS::Serverless::Function
    Properties:
      Handler: ring.of_queue
      Policies: [SNSPublishMessagePolicy: { TopicName: !GetAtt Topic.TopicName }]
      Events: { On: { Type: SQS, Properties: { Queue: !GetAtt Queue.Arn } } }
  OfTopic:
    Type: AWS::Serverless::Function
    Properties:
      Handler: ring.of_topic
      Policies: [DynamoDBWritePolicy: { TableName: !Ref Table }]
      Events: { On: { Type: SNS, Properties: { Topic: !Ref Topic } } }
Outputs:
  Bucket: { Value: !Ref Bucket }
  Table: { Value: !Ref Table }
"""
RING_CODE = """\
import os

import boto3

table, queue, topic = os.environ["TABLE"], os.environ["QUEUE"], os.environ["TOPIC"]


def put(name, text):
    boto3.client("dynamodb").put_item(TableName=table, Item={"id": {"S": name}, "text": {"S": text}})


def of_bucket(event, context):
    for record in event["Records"]:
        where = {"Bucket": record["s3"]["bucket"]["name"], "Key": record["s3"]["object"]["key"]}
        put("begun", boto3.client("s3").get_object(**where)["Body"].read().decode() + " > S3")


def of_table(event, context):
    for record in event["Records"]:
        image = record["dynamodb"]["NewImage"]
        if image["id"]["S"] == "begun":
            boto3.client("sqs").send_message(QueueUrl=queue, MessageBody=image["text"]["S"] + " > DynamoDB")


def of_queue(event, context):
    for record in event["Records"]:
        boto3.client("sns").publish(TopicArn=topic, Message=record["body"] + " > SQS")


def of_topic(event, context):
    for record in event["Records"]:
        put("done", record["Sns"]["Message"] + " > SNS")
"""


def application(cloud: Any, folder: Path, template: str, code: dict[str, str], stack: str) -> deployment.Deployment:
    (folder / "src").mkdir()
    (folder / "template.yaml").write_text(template)
    for name, text in code.items():
        (folder / "src" / name).write_text(text)
    return deployment.deploy(cloud.endpoint, folder / "template.yaml", stack)


def ask(url: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, bytes, Any]:
    request = urllib.request.Request(url, body, {k.replace("_", "-"): v for k, v in headers.items()}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read(), answer.headers
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read(), refusal.headers


def code_of(answer: tuple[int, bytes, Any]) -> tuple[int, str]:
    return answer[0], answer[1].decode().partition("<Code>")[2].partition("<")[0]


@pytest.fixture
def s3(aws: Any) -> Any:
    client = aws("s3", config=Config(signature_version="s3v4"))
    client.create_bucket(Bucket="files")
    client.put_object(Bucket="files", Key="mine.txt", Body=b"mine")
    client.put_object(Bucket="files", Key="other.txt", Body=b"other")
    return client


def test_uploads_and_deletions_are_noted_in_a_table(cloud: Any, clock: Any, tmp_path: Path) -> None:
    """D9: S3 triggers a function that keeps the metadata of objects in DynamoDB; D8: the client uploads directly to S3."""
    service = application(cloud, tmp_path, METADATA, {"note.py": NOTE}, "notes")
    store, bucket = service.client("s3"), service.outputs["Files"]

    def noted() -> dict[str, tuple[int, str, str]]:
        clock.advance(1)
        items = service.client("dynamodb").scan(TableName=service.outputs["Index"])["Items"]
        return {i["key"]["S"]: (int(i["size"]["N"]), i["etag"]["S"], i["type"]["S"]) for i in items}

    given = {"Bucket": bucket, "Key": "in/a picture.png", "ContentType": "image/png"}
    url = store.generate_presigned_url("put_object", Params=given)
    assert ask(url, "PUT", b"x" * 1000, content_type="image/png")[0] == 200
    tag = store.head_object(Bucket=bucket, Key="in/a picture.png")["ETag"].strip('"')
    assert noted() == {"in/a picture.png": (1000, tag, "image/png")}
    changed = store.put_object(Bucket=bucket, Key="in/a picture.png", Body=b"y", ContentType="text/plain")
    assert noted() == {"in/a picture.png": (1, changed["ETag"].strip('"'), "text/plain")}
    store.delete_object(Bucket=bucket, Key="in/a picture.png")
    assert noted() == {}


def test_a_change_goes_round_all_stores_by_triggers(cloud: Any, clock: Any, tmp_path: Path) -> None:
    """D2: functions read and write S3, DynamoDB, SQS and SNS, and are triggered by a change in each of them."""
    service = application(cloud, tmp_path, RING, {"ring.py": RING_CODE}, "ring")
    service.client("s3").put_object(Bucket=service.outputs["Bucket"], Key="start", Body=b"file")
    clock.advance(5)
    items = service.client("dynamodb").scan(TableName=service.outputs["Table"])["Items"]
    found = {item["id"]["S"]: item["text"]["S"] for item in items}
    assert found == {"begun": "file > S3", "done": "file > S3 > DynamoDB > SQS > SNS"}


def test_a_signed_url_is_good_for_its_object_its_time_and_its_method_alone(s3: Any, clock: Any) -> None:
    """D7, D6: S3 signed URLs: valid works, expired, tampered and another key are 403; the bucket itself stays closed."""
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "files", "Key": "mine.txt"}, ExpiresIn=60)
    assert ask(url)[:2] == (200, b"mine")
    last = "0" if url[-1] != "0" else "1"
    assert code_of(ask(url[:-1] + last)) == (403, "SignatureDoesNotMatch")
    assert code_of(ask(url.replace("mine.txt", "other.txt"))) == (403, "SignatureDoesNotMatch")
    assert code_of(ask(url.replace("Expires=60", "Expires=6000"))) == (403, "SignatureDoesNotMatch")
    assert code_of(ask(url, "DELETE")) == (403, "SignatureDoesNotMatch")
    clock.advance(DAY_S)
    assert code_of(ask(url)) == (403, "AccessDenied")
    assert s3.get_object(Bucket="files", Key="mine.txt")["Body"].read() == b"mine"


def test_a_client_writes_directly_with_a_signed_url_or_a_form(s3: Any, clock: Any) -> None:
    """D8: presigned PUT and POST form; D7: each expires, and holds for its key and its conditions alone."""
    url = s3.generate_presigned_url("put_object", Params={"Bucket": "files", "Key": "up.txt"}, ExpiresIn=60)
    assert ask(url, "PUT", b"put")[0] == 200
    assert ask(url.replace("up.txt", "mine.txt"), "PUT", b"gone")[0] == 403
    form = s3.generate_presigned_post("files", "form.txt", Conditions=[["content-length-range", 1, 5]], ExpiresIn=60)

    def post(data: bytes, **changes: str) -> int:
        parts = b"".join(
            f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in {**form["fields"], **changes}.items()
        )
        body = (
            parts
            + b'--b\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n'
            + data
            + b"\r\n--b--\r\n"
        )
        return ask(form["url"], "POST", body, content_type="multipart/form-data; boundary=b")[0]

    assert post(b"form") == 204
    assert (post(b"too long"), post(b"form", key="mine.txt")) == (400, 403)
    stored = {key: s3.get_object(Bucket="files", Key=key)["Body"].read() for key in ("up.txt", "form.txt", "mine.txt")}
    assert stored == {"up.txt": b"put", "form.txt": b"form", "mine.txt": b"mine"}
    clock.advance(DAY_S)
    assert (ask(url, "PUT", b"late")[0], post(b"late")) == (403, 403)


def test_a_token_reaches_what_its_session_policy_says_until_it_expires(
    iam_enforced: Any, s3: Any, aws: Any, clock: Any
) -> None:
    """D7: STS tokens after access control: the session's policy narrows the role's; expired and tampered are refused."""
    trust = {"Statement": {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}}
    role = aws("iam").create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    whole = {"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::files/*"}}
    aws("iam").put_role_policy(RoleName="reader", PolicyName="p", PolicyDocument=json.dumps(whole))
    one = {"Statement": {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::files/mine.txt"}}
    given = aws("sts").assume_role(
        RoleArn=role, RoleSessionName="browser", Policy=json.dumps(one), DurationSeconds=900
    )["Credentials"]
    key = {"aws_access_key_id": given["AccessKeyId"], "aws_secret_access_key": given["SecretAccessKey"]}
    own = aws("s3", **key, aws_session_token=given["SessionToken"])

    def code(client: Any, **request: str) -> str:
        with pytest.raises(client.exceptions.ClientError) as refused:
            client.get_object(Bucket="files", **request)
        return str(refused.value.response["Error"]["Code"])

    assert own.get_object(Bucket="files", Key="mine.txt")["Body"].read() == b"mine"
    assert code(own, Key="other.txt") == "AccessDenied"
    with pytest.raises(own.exceptions.ClientError, match="AccessDenied"):
        own.put_object(Bucket="files", Key="mine.txt", Body=b"gone")
    tampered = aws("s3", **key, aws_session_token=given["SessionToken"][:-4] + "AAAA")
    assert code(tampered, Key="mine.txt") == "InvalidToken"
    clock.advance(901)
    assert code(own, Key="mine.txt") == "ExpiredToken"


def test_a_front_end_is_served_with_its_types_its_index_and_its_own_page_for_what_is_not_there(s3: Any) -> None:
    """D5: HTML, CSS, JavaScript, images and fonts; the index document, and index.html for routes that only the browser knows."""
    kinds = {
        "index.html": "text/html", "app.css": "text/css", "app.js": "text/javascript", "logo.png": "image/png",
        "text.woff2": "font/woff2",
    }  # fmt: skip
    for name, kind in kinds.items():
        s3.put_object(Bucket="files", Key=name, Body=name.encode(), ContentType=kind)
    s3.delete_public_access_block(Bucket="files")
    anyone = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::files/*"}
    s3.put_bucket_policy(Bucket="files", Policy=json.dumps({"Statement": [anyone]}))
    pages = {"IndexDocument": {"Suffix": "index.html"}, "ErrorDocument": {"Key": "index.html"}}
    s3.put_bucket_website(Bucket="files", WebsiteConfiguration=pages)
    site = f"{s3.meta.endpoint_url}/_aws/s3-website/files"
    for name, kind in kinds.items():
        status, body, headers = ask(f"{site}/{name}")
        assert (status, body, headers["content-type"]) == (200, name.encode(), kind)
    assert ask(f"{site}/")[:2] == (200, b"index.html")
    assert ask(f"{site}/customers/7")[:2] == (404, b"index.html")
