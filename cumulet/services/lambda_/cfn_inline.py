"""The package of a function whose source a template holds (Code.ZipFile): the one file, and `cfnresponse` where it is imported.

Source: CloudFormation user guide, "cfn-response module" (read 2026-11).
"""

from __future__ import annotations

import io
import re
import zipfile

_DATE = (1980, 1, 1, 0, 0, 0)
_IMPORTED = re.compile(r"^\s*import cfnresponse\b", re.MULTILINE)

# What a function gets beside its own file: it answers the request of a custom resource.
CFNRESPONSE = '''"""Answers the request of a CloudFormation custom resource."""

import json
import urllib.request

SUCCESS = "SUCCESS"
FAILED = "FAILED"


def send(event, context, responseStatus, responseData, physicalResourceId=None, noEcho=False, reason=None):
    body = json.dumps({
        "Status": responseStatus,
        "Reason": reason or f"See the details in CloudWatch Log Stream: {context.log_stream_name}",
        "PhysicalResourceId": physicalResourceId or context.log_stream_name,
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "NoEcho": noEcho,
        "Data": responseData,
    }).encode()
    request = urllib.request.Request(event["ResponseURL"], body, {"Content-Type": ""}, method="PUT")
    try:
        with urllib.request.urlopen(request) as answer:
            print("Status code:", answer.status)
    except Exception as error:
        print("send(..) failed executing the answer to the ResponseURL:", error)
'''


def packed(source: str) -> bytes:
    """The zip of `index.py`; AWS adds cfnresponse only where it reads exactly `import cfnresponse`."""
    files = {"index.py": source}
    if _IMPORTED.search(source):
        files["cfnresponse.py"] = CFNRESPONSE
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            info = zipfile.ZipInfo(name, _DATE)
            info.external_attr = 0o644 << 16
            archive.writestr(info, text)
    return out.getvalue()
