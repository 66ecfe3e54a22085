"""Requests over real HTTP, and functions, for API Gateway's tests."""

from __future__ import annotations

import io
import urllib.error
import urllib.request
import zipfile
from typing import Any

CODE = """
import json

def handler(event, context):
    if (event.get("queryStringParameters") or {}).get("fail"):
        raise ValueError("no")
    return {"statusCode": 200, "headers": {"Content-Type": "application/json"}, "body": json.dumps(event)}

def plain(event, context):
    if event.get("fail"):
        raise ValueError("not found: 17")
    return {"got": event}
"""
Answer = tuple[int, dict[str, str], bytes]


def fetch(url: str, method: str = "GET", body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
    request = urllib.request.Request(url, body, headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()


def function(aws: Any, name: str, handler: str = "handler") -> str:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("app.py", CODE)
    made = aws("lambda").create_function(
        FunctionName=name, Runtime="python3.12", Role="arn:aws:iam::000000000000:role/r", Handler=f"app.{handler}",
        Code={"ZipFile": packed.getvalue()},
    )  # fmt: skip
    return str(made["FunctionArn"])
