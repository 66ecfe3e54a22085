"""Decides which task an event is for, enriches it, and hands it over: one event, one task."""

import json
import os

import boto3

functions = boto3.client("lambda")
PLANS = {"basic": 900, "pro": 2900}


def handler(event, context):
    task, enriched = route(event)
    functions.invoke(FunctionName=os.environ[task], InvocationType="Event", Payload=json.dumps(enriched))
    print(json.dumps({"id": event["id"], "task": task}))
    return {"task": task}


def route(event):
    """(task, the event with what the task needs). Raises: ValueError for a kind that nobody is there for."""
    plan = event.get("plan", "basic")
    known = {**event, "customer": event["customer"].strip().lower(), "routed_as": event["kind"]}
    match event["kind"]:
        case "signup":
            return "WELCOME", {**known, "greeting": f"Welcome, {event['customer'].strip()}"}
        case "renewal":
            return "INVOICE", {**known, "cents": PLANS[plan]}
        case "overdue":
            return "REMINDER", {**known, "cents": PLANS[plan], "level": event.get("reminders", 0) + 1}
        case other:
            raise ValueError(f"no task for events of kind {other!r}")
