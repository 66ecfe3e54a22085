"""The authorization service's side for administrators: add, show, change and remove users, over HTTP or by direct invocation.

Over HTTP as the template says; directly as {"action": "remove", "name": "ann"}, with the members of the HTTP body.
"""

import hashlib
import json
import os
import re
import secrets

import boto3
from botocore.exceptions import ClientError

USERS = boto3.resource("dynamodb").Table(os.environ["USERS"])
ACTIONS = {"POST": "add", "GET": "show", "PUT": "change", "DELETE": "remove"}


def handler(event, context):
    if "httpMethod" not in event:
        return act(event)
    given = {**json.loads(event["body"] or "{}"), **(event["pathParameters"] or {})}
    answer = act({**given, "action": ACTIONS[event["httpMethod"]]})
    return {"statusCode": answer.pop("status"), "body": json.dumps(answer)}


def act(order):
    name = str(order.get("name", ""))
    if not re.fullmatch(r"[a-z0-9-]{1,40}", name):
        return {"status": 400, "message": "A name has 1 to 40 small letters, digits and hyphens."}
    try:
        return {"add": add, "show": show, "change": change, "remove": remove}[order["action"]](name, order)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        known = order["action"] == "add"
        return {"status": 409 if known else 404, "message": f"{name} is {'there already' if known else 'not there'}."}


def permissions(order):
    return {
        "allow": list(order.get("allow", [])),
        "deny": list(order.get("deny", [])),
        "branch": order.get("branch", "*"),
    }


def add(name, order):
    """A new user; his token is told this once."""
    secret = secrets.token_urlsafe(24)
    item = {"name": name, "secret": hashlib.sha256(secret.encode()).hexdigest(), **permissions(order)}
    USERS.put_item(Item=item, ConditionExpression="attribute_not_exists(#n)", ExpressionAttributeNames={"#n": "name"})
    return {"status": 201, "name": name, "token": f"{name}.{secret}"}


def show(name, order):
    found = USERS.get_item(Key={"name": name}, ConsistentRead=True).get("Item")
    if found is None:
        return {"status": 404, "message": f"{name} is not there."}
    return {"status": 200, **{key: value for key, value in found.items() if key != "secret"}}


def change(name, order):
    """New permissions in place of the old ones."""
    given = permissions(order)
    USERS.update_item(
        Key={"name": name},
        UpdateExpression="SET allow = :allow, #d = :deny, branch = :branch",
        ConditionExpression="attribute_exists(#n)",
        ExpressionAttributeNames={"#n": "name", "#d": "deny"},
        ExpressionAttributeValues={f":{key}": value for key, value in given.items()},
    )
    return {"status": 200, "name": name, **given}


def remove(name, order):
    USERS.delete_item(
        Key={"name": name}, ConditionExpression="attribute_exists(#n)", ExpressionAttributeNames={"#n": "name"}
    )
    return {"status": 200, "name": name}
