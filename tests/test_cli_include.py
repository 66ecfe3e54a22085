"""`cumulet deploy` brings the local files that AWS::Include names."""

import subprocess
import sys
import urllib.request

TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      DefinitionBody:
        Fn::Transform: {Name: AWS::Include, Parameters: {Location: api.yaml}}
  Queue: {Type: AWS::SQS::Queue}
Outputs:
  Id: {Value: !Ref Api}
"""
API = """\
openapi: 3.0.1
info: {title: t}
paths:
  /send:
    post:
      x-amazon-apigateway-integration:
        type: aws_proxy
        integrationSubtype: SQS-SendMessage
        credentials: arn:aws:iam::000000000000:role/r
        payloadFormatVersion: "1.0"
        requestParameters: {MessageBody: $request.body, QueueUrl: {Ref: Queue}}
"""


def deploy(folder, endpoint):
    command = [
        sys.executable,
        "-m",
        "cumulet.cli.main",
        "deploy",
        str(folder / "template.yaml"),
        "--endpoint-url",
        endpoint,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_an_included_file_is_uploaded_and_its_references_are_the_templates(server_process, tmp_path):
    server = server_process().start()
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    done = deploy(tmp_path, server.endpoint)
    assert done.returncode == 1 and "api.yaml, which cannot be read: No such file or directory." in done.stderr
    (tmp_path / "api.yaml").write_text(API)
    done = deploy(tmp_path, server.endpoint)
    assert done.returncode == 0, done.stdout + done.stderr
    api = done.stdout.partition("Id = ")[2].split()[0]
    request = urllib.request.Request(f"{server.endpoint}/_aws/execute-api/{api}/send", b"hi", method="POST")
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert b"<MD5OfMessageBody>49f68a5c8493ec2c0bf489821c21fc3b</MD5OfMessageBody>" in answer.read()
