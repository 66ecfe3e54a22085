"""The internal service: prices by article. Its interface is the event: {"operation": "set" | "get", "sku": ..., "cents": ...}."""

import os

import boto3

table = boto3.resource("dynamodb").Table(os.environ["TABLE"])


class UnknownArticle(Exception):
    """The caller asked for something that has no price."""


def handler(event, context):
    operations = {"set": set_price, "get": get_price}
    return operations[event["operation"]](event)


def set_price(event):
    table.put_item(Item={"sku": event["sku"], "cents": event["cents"]})
    return {"sku": event["sku"], "cents": event["cents"]}


def get_price(event):
    item = table.get_item(Key={"sku": event["sku"]}, ConsistentRead=True).get("Item")
    if item is None:
        raise UnknownArticle(event["sku"])
    return {"sku": item["sku"], "cents": int(item["cents"])}
