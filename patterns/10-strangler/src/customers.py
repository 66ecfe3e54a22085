"""Customers: read only, for now."""

from moving import answer, found


def handler(event, context):
    customer = found("customers", event["pathParameters"]["id"])
    if customer is None:
        return answer(404, {"message": "No such customer."})
    return answer(200, customer)
