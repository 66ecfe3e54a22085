"""AWS signatures, version 4 and S3's version 2: what a request claims, and what its signature should be.

Pure functions of the request; who owns which secret, and what time it is, is the caller's business.
Source: IAM user guide, "Create a signed AWS API request"; S3 API reference, "Authenticating requests: using query
parameters (AWS Signature Version 4)"; S3 developer guide, "Signing and authenticating REST requests" (version 2).
"""

from __future__ import annotations

import base64
import calendar
import hashlib
import hmac
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, unquote, unquote_to_bytes

from cumulet.aws.http import HttpRequest

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
MAX_EXPIRES_S = 604800
PRESIGNED = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Signature",
    "X-Amz-Date",
    "X-Amz-SignedHeaders",
    "X-Amz-Expires",
)

_TIMESTAMP = re.compile(r"^\d{8}T\d{6}Z$")
_V2_SUBRESOURCES = frozenset((
    "acl", "accelerate", "analytics", "cors", "defaultObjectAcl", "delete", "intelligent-tiering", "inventory",
    "lifecycle", "location", "logging", "metrics", "notification", "object-lock", "ownershipControls", "partNumber",
    "policy", "policyStatus", "publicAccessBlock", "encryption", "replication", "requestPayment",
    "response-cache-control",
    "response-content-disposition", "response-content-encoding", "response-content-language", "response-content-type",
    "response-expires", "restore", "retention", "legal-hold", "select", "select-type", "tagging", "torrent", "uploadId",
    "uploads", "versionId", "versioning", "versions", "website",
))  # fmt: skip


class Malformed(ValueError):
    """An Authorization header or presigned URL that lacks something; the text names what, in AWS's words."""


@dataclass(slots=True, frozen=True)
class Claim:
    """Who a request says that it is from, and with which signature. `timestamp` is as sent (20260131T235959Z)."""

    access_key: str
    date: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str
    timestamp: str
    expires_s: int | None = None  # set for presigned URLs
    session_token: str | None = None
    version: int = 4

    @property
    def presigned(self) -> bool:
        return self.expires_s is not None

    @property
    def scope(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/aws4_request"

    @property
    def signed_at(self) -> float:
        """Epoch seconds."""
        return parse_timestamp(self.timestamp)


def parse_timestamp(text: str) -> float:
    """Raises: Malformed."""
    if not _TIMESTAMP.match(text):
        raise Malformed(f'Date must be in ISO-8601 "basic format". Got {text!r}.')
    try:
        return float(calendar.timegm(time.strptime(text, "%Y%m%dT%H%M%SZ")))
    except ValueError as error:
        raise Malformed(f'Date must be in ISO-8601 "basic format". Got {text!r}.') from error


def query_pairs(query: str) -> list[tuple[str, str]]:
    """The query's decoded names and values; `+` stays a plus, as signatures want it."""
    pairs = []
    for piece in query.split("&"):
        if piece:
            name, _, value = piece.partition("=")
            pairs.append((unquote(name), unquote(value)))
    return pairs


def header_claim(request: HttpRequest) -> Claim:
    """The claim of an `Authorization: AWS4-HMAC-SHA256 ...` header. Raises: Malformed."""
    header = request.headers["authorization"]
    fields: dict[str, str] = {}
    for field in header[len(ALGORITHM) :].split(","):
        name, _, value = field.strip().partition("=")
        fields[name] = value
    missing = [
        f"Authorization header requires '{name}' parameter."
        for name in ("Credential", "Signature", "SignedHeaders")
        if not fields.get(name)
    ]
    timestamp = request.headers.get("x-amz-date") or _http_date(request.headers.get("date"))
    if not timestamp:
        missing.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
    if missing or timestamp is None:
        raise Malformed(f"{' '.join(missing)} Authorization={header.split(' ', 1)[0]}")
    access_key, date, region, service = split_credential(fields["Credential"])
    signed = tuple(fields["SignedHeaders"].lower().split(";"))
    token = request.headers.get("x-amz-security-token")
    return Claim(access_key, date, region, service, signed, fields["Signature"], timestamp, None, token)


def presigned_claim(request: HttpRequest) -> Claim:
    """The claim of a URL with X-Amz-Signature. Raises: Malformed."""
    values = dict(query_pairs(request.query))
    if not all(values.get(name) for name in PRESIGNED):
        raise Malformed(
            "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, "
            "X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
        )
    if values["X-Amz-Algorithm"] != ALGORITHM:
        raise Malformed('X-Amz-Algorithm only supports "AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256"')
    expires = values["X-Amz-Expires"]
    if not expires.lstrip("-").isdecimal() or not expires.isascii():
        raise Malformed("X-Amz-Expires should be a number")
    if expires.startswith("-"):
        raise Malformed("X-Amz-Expires must be non-negative")
    if len(expires) > 10 or int(expires) > MAX_EXPIRES_S:
        raise Malformed(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than "
            "604800 seconds"
        )
    access_key, date, region, service = split_credential(values["X-Amz-Credential"])
    parse_timestamp(values["X-Amz-Date"])
    signed = tuple(values["X-Amz-SignedHeaders"].lower().split(";"))
    token = values.get("X-Amz-Security-Token")
    return Claim(
        access_key, date, region, service, signed, values["X-Amz-Signature"], values["X-Amz-Date"], int(expires), token
    )


def posted_claim(fields: Mapping[str, str]) -> Claim:
    """The claim of a form's fields, version 4 or 2; the policy's base64 text is what is signed.

    Raises: Malformed; KeyError with the name of a field that is missing.
    """
    if "awsaccesskeyid" in fields:
        signature = _field(fields, "Signature")
        return Claim(fields["awsaccesskeyid"], "", "us-east-1", "s3", (), signature, "", version=2)
    algorithm, credential = _field(fields, "X-Amz-Algorithm"), _field(fields, "X-Amz-Credential")
    timestamp, signature = _field(fields, "X-Amz-Date"), _field(fields, "X-Amz-Signature")
    if algorithm != ALGORITHM:
        raise Malformed('X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"')
    access_key, date, region, service = split_credential(credential)
    parse_timestamp(timestamp)
    token = fields.get("x-amz-security-token")
    return Claim(access_key, date, region, service, (), signature, timestamp, session_token=token)


def _field(fields: Mapping[str, str], name: str) -> str:
    if not fields.get(name.lower()):
        raise KeyError(name)
    return fields[name.lower()]


def split_credential(credential: str) -> tuple[str, str, str, str]:
    """(access key, date, region, service). Raises: Malformed."""
    parts = credential.split("/")
    if len(parts) < 5 or parts[-1] != "aws4_request":
        raise Malformed(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
            f"got '{credential}'"
        )
    return "/".join(parts[:-4]), parts[-4], parts[-3], parts[-2]


def _http_date(text: str | None) -> str | None:
    if not text:
        return None
    if _TIMESTAMP.match(text):
        return text
    try:
        return time.strftime("%Y%m%dT%H%M%SZ", time.strptime(text, "%a, %d %b %Y %H:%M:%S GMT"))
    except ValueError:
        return None


# version 4


@lru_cache(maxsize=512)
def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The day's key of a secret for one region and service."""
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def sign(secret: str, claim: Claim, text: str) -> str:
    """The signature of a string to sign (or of a POST policy in base64), in hexadecimal."""
    key = signing_key(secret, claim.date, claim.region, claim.service)
    return hmac.digest(key, text.encode("utf-8", "surrogateescape"), "sha256").hex()


def payload_hash(request: HttpRequest, claim: Claim) -> str:
    """What the client says, or should have hashed, as the body's digest."""
    said = request.headers.get("x-amz-content-sha256")
    if claim.presigned and said not in (None, UNSIGNED):
        said = dict(query_pairs(request.query)).get("X-Amz-Content-Sha256", said)
    if claim.presigned and claim.service == "s3":
        return dict(query_pairs(request.query)).get("X-Amz-Content-Sha256", UNSIGNED)
    return said or body_sha256(request)


def body_sha256(request: HttpRequest) -> str:
    body = request.body
    if isinstance(body, bytes):
        return hashlib.sha256(body).hexdigest() if body else EMPTY_SHA256
    return body.sha256


def canonical_request(request: HttpRequest, claim: Claim, digest: str) -> str:
    """The text whose hash is signed."""
    return "\n".join((
        request.method,
        _canonical_path(request.path, claim.service),
        _canonical_query(request.query, claim.presigned),
        *_canonical_headers(request, claim.signed_headers),
        "",
        ";".join(claim.signed_headers),
        digest,
    ))  # fmt: skip


def string_to_sign(claim: Claim, canonical: str) -> str:
    hashed = hashlib.sha256(canonical.encode("utf-8", "surrogateescape")).hexdigest()
    return f"{ALGORITHM}\n{claim.timestamp}\n{claim.scope}\n{hashed}"


def _canonical_path(path: str, service: str) -> str:
    """S3 encodes the key once; all others normalize the path as sent and encode it again."""
    if service in ("s3", "s3-object-lambda", "s3express"):
        return quote(unquote_to_bytes(path), safe="/~")
    return quote(_without_dots(path), safe="/~")


def _without_dots(path: str) -> str:
    out: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if out:
                out.pop()
        elif part and part != ".":
            out.append(part)
    return f"/{'/'.join(out)}{'/' if path.endswith('/') and out else ''}"


def _canonical_query(query: str, presigned: bool) -> str:
    if not query:
        return ""
    encoded = []
    for piece in query.split("&"):
        name, _, value = piece.partition("=")
        if not piece or (presigned and name == "X-Amz-Signature"):
            continue
        encoded.append((quote(unquote_to_bytes(name), safe="-_.~"), quote(unquote_to_bytes(value), safe="-_.~")))
    return "&".join([f"{name}={value}" for name, value in sorted(encoded)])


def _canonical_headers(request: HttpRequest, signed: Iterable[str]) -> list[str]:
    sent: dict[str, list[str]] = {}
    for name, value in request.raw_headers or request.headers.items():
        sent.setdefault(name.lower(), []).append(" ".join(value.split()))
    return [f"{name}:{','.join(sent.get(name, ()))}" for name in signed]


# version 2 of S3


def v2_claim(request: HttpRequest) -> Claim:
    """The claim of `?AWSAccessKeyId=&Signature=&Expires=` or `Authorization: AWS key:signature`. Raises: Malformed."""
    header = request.headers.get("authorization", "")
    if header.startswith("AWS "):
        access_key, colon, signature = header[4:].rpartition(":")
        if not colon:
            raise Malformed("AWS authorization header is invalid.  Expected AwsAccessKeyId:signature")
        return Claim(access_key, "", "us-east-1", "s3", (), signature.strip(), "", version=2)
    values = dict(query_pairs(request.query))
    expires = values.get("Expires", "")
    if not values.get("AWSAccessKeyId") or not values.get("Signature") or not expires:
        raise Malformed("Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters")
    if not (expires.isascii() and expires.isdecimal() and len(expires) < 12):
        raise Malformed(f"Invalid date (should be seconds since epoch): {expires}")
    token = values.get("x-amz-security-token")
    return Claim(
        values["AWSAccessKeyId"], "", "us-east-1", "s3", (), values["Signature"], "", int(expires), token, version=2
    )


def v2_string_to_sign(request: HttpRequest, claim: Claim, resource: str) -> str:
    """`resource` is the raw path with the bucket in front. Presigned values may be in the query instead of headers."""
    pairs = query_pairs(request.query)
    values: dict[str, str] = dict(request.headers)
    if claim.presigned:
        values.update({name.lower(): value for name, value in pairs if _v2_signed(name.lower())})
    date = str(claim.expires_s) if claim.presigned else ("" if "x-amz-date" in values else values.get("date", ""))
    amz = "".join(f"{name}:{' '.join(values[name].split())}\n" for name in sorted(values) if name.startswith("x-amz-"))
    parts = [f"{n}={v}" if v else n for n, v in sorted(pairs) if n in _V2_SUBRESOURCES]
    suffix = f"?{'&'.join(parts)}" if parts else ""
    head = "\n".join((request.method, values.get("content-md5", ""), values.get("content-type", ""), date))
    return f"{head}\n{amz}{resource}{suffix}"


def _v2_signed(name: str) -> bool:
    return name.startswith("x-amz-") or name in ("content-md5", "content-type")


def v2_sign(secret: str, text: str) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), "sha1")).decode()


def same(ours: str, theirs: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(ours.encode(), theirs.encode("utf-8", "surrogateescape"))


def iso(epoch_s: float) -> str:
    """`2026-01-31T23:59:59Z`, as error documents have it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(epoch_s))
