"""Reading and verifying signatures for the gateway: which scheme a request uses, and AWS's errors for what is wrong."""

from __future__ import annotations

from functools import lru_cache

from cumulet.aws import sigv4
from cumulet.aws.errors import AwsError
from cumulet.aws.http import HttpRequest
from cumulet.aws.sigv4 import Claim

_MAX_SKEW_S = 15 * 60


class IncompleteSignature(AwsError):
    status = 403


class AuthorizationQueryParametersError(AwsError):
    pass


class SignatureDoesNotMatch(AwsError):
    status = 403


class Expired(AwsError):
    code = "AccessDenied"
    status = 403


class RequestTimeTooSkewed(AwsError):
    status = 403


@lru_cache(maxsize=1024)
def _scope(credential: str) -> tuple[str, str]:
    """(access key, region) of a credential scope. Raises: Malformed."""
    access_key, _, region, _ = sigv4.split_credential(credential)
    return access_key, region


def quick(request: HttpRequest) -> tuple[str, str] | None:
    """(access key, region) of a header signature, without the rest. Raises: IncompleteSignature."""
    header = request.headers.get("authorization")
    if header is None or not header.startswith(sigv4.ALGORITHM):
        return None
    start = header.find("Credential=")
    if start < 0:
        raise IncompleteSignature("Authorization header requires 'Credential' parameter. Authorization=AWS4-HMAC-SHA256")
    end = header.find(",", start)
    try:
        return _scope(header[start + 11 : end if end > 0 else len(header)].strip())
    except sigv4.Malformed as error:
        raise IncompleteSignature(str(error)) from error


def presigned(request: HttpRequest) -> Claim | None:
    """The claim of a presigned URL, version 4 or 2. Raises: AuthorizationQueryParametersError."""
    query = request.query
    if not query or "Signature=" not in query or "authorization" in request.headers:
        return None
    try:
        if "X-Amz-Signature=" in query:
            return sigv4.presigned_claim(request)
        if "AWSAccessKeyId=" in query:
            return sigv4.v2_claim(request)
    except sigv4.Malformed as error:
        raise AuthorizationQueryParametersError(str(error)) from error
    return None


def header(request: HttpRequest) -> Claim:
    """The whole claim of a header signature. Raises: IncompleteSignature."""
    try:
        return sigv4.header_claim(request)
    except sigv4.Malformed as error:
        raise IncompleteSignature(str(error)) from error


def verify(request: HttpRequest, claim: Claim, secret: str, now: float, v2_resource: str = "") -> None:
    """Raises: SignatureDoesNotMatch, AccessDenied ("Request has expired"), RequestTimeTooSkewed."""
    if claim.version == 2:
        _in_time_v2(claim, now)
        ours = sigv4.v2_sign(secret, sigv4.v2_string_to_sign(request, claim, v2_resource))
    else:
        _in_time(claim, now)
        canonical = sigv4.canonical_request(request, claim, sigv4.payload_hash(request, claim))
        ours = sigv4.sign(secret, claim, sigv4.string_to_sign(claim, canonical))
    if not sigv4.same(ours, claim.signature):
        raise SignatureDoesNotMatch(
            "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
            members={"AWSAccessKeyId": claim.access_key, "SignatureProvided": claim.signature},
        )


def _in_time(claim: Claim, now: float) -> None:
    try:
        signed_at = claim.signed_at
    except sigv4.Malformed as error:
        raise IncompleteSignature(str(error)) from error
    if claim.expires_s is None:
        if abs(now - signed_at) > _MAX_SKEW_S:
            raise RequestTimeTooSkewed("The difference between the request time and the current time is too large.")
    elif now > signed_at + claim.expires_s:
        raise Expired("Request has expired", members={
            "X-Amz-Expires": str(claim.expires_s), "Expires": sigv4.iso(signed_at + claim.expires_s), "ServerTime": sigv4.iso(now)})


def _in_time_v2(claim: Claim, now: float) -> None:
    if claim.expires_s is not None and now > claim.expires_s:
        raise Expired("Request has expired", members={"Expires": sigv4.iso(claim.expires_s), "ServerTime": sigv4.iso(now)})
