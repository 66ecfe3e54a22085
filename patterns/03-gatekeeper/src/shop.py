"""The shop: knows nothing of users but what the gate tells it."""

import json


def handler(event, context):
    seen = event["requestContext"]["authorizer"]
    answer = {
        "did": f"{event['httpMethod']} {event['path']}",
        "user": seen["principalId"],
        "decision": seen["decision"],  # which run of the authorizer let this request in
    }
    return {"statusCode": 200, "body": json.dumps(answer)}
