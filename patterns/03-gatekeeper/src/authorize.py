"""Who is behind a token, and what may he do: answers API Gateway with a policy over everything that he may, not only this request.

API Gateway keeps the policy and holds the user's other requests against it, so one that allowed only the resource asked for
would refuse the next resource until it is forgotten.
"""

import hashlib
import hmac
import json
import os

import boto3

USERS = boto3.resource("dynamodb").Table(os.environ["USERS"])


def handler(event, context):
    print(json.dumps({name: event[name] for name in ("type", "methodArn", "resource", "httpMethod") if name in event}))
    sent = event["authorizationToken"] if event["type"] == "TOKEN" else header(event, "authorization")
    user = user_of(sent.removeprefix("Bearer "))
    if user is None:
        raise Exception("Unauthorized")  # these very words become a 401
    api = "/".join(event["methodArn"].split("/")[:2])  # arn:...:api/stage
    allow, deny = user["allow"], user["deny"]
    if event["type"] == "REQUEST" and user["branch"] not in ("*", event["queryStringParameters"]["branch"]):
        allow, deny = [], ["*"]
    statements = [statement("Allow", api, allow), statement("Deny", api, deny)]
    return {
        "principalId": user["name"],
        "policyDocument": {"Version": "2012-10-17", "Statement": [one for one in statements if one["Resource"]]},
        "context": {"name": user["name"], "decision": context.aws_request_id},
    }


def user_of(token):
    """The user who has this token: `{name}.{secret}`, of which the table knows the secret's hash."""
    name, _, secret = token.partition(".")
    found = USERS.get_item(Key={"name": name}, ConsistentRead=True).get("Item") if name and secret else None
    if found is None or not hmac.compare_digest(found["secret"], hashlib.sha256(secret.encode()).hexdigest()):
        return None
    return found


def statement(effect, api, permissions):
    """Permissions are `GET/orders`, `GET/orders/*`, `*`."""
    return {"Effect": effect, "Action": "execute-api:Invoke", "Resource": [f"{api}/{one}" for one in permissions]}


def header(event, name):
    return next((value for key, value in event["headers"].items() if key.lower() == name), "")
