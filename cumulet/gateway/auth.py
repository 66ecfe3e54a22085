"""Who sends a request: whose the access key is, whether the signature is right, and AWS's errors where it is not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from cumulet.aws import sigv4
from cumulet.aws.errors import AwsError, GenericAwsError
from cumulet.aws.http import HttpRequest
from cumulet.kernel.authz import ANONYMOUS
from cumulet.wire.router import s3_path

DEFAULT_REGION = "us-east-1"
DEFAULT_SECRET = "test"
_SKEW_S = 15 * 60
_CALLERS = 1000


@dataclass(frozen=True, slots=True)
class Identity:
    """Who has an access key."""

    account: str
    arn: str
    secret: str
    token: str = ""  # that goes with temporary credentials


@dataclass(slots=True)
class Caller:
    """What a request's signature says."""

    account: str
    region: str
    principal: str
    access_key: str = ""


def style(service: str, protocol: str) -> str:
    """In whose words errors of authentication are: "s3", "query" or "json"."""
    if service == "s3":
        return "s3"
    return "query" if protocol in ("query", "ec2", "rest-xml") else "json"


class Authenticator:
    """Reads and verifies signatures.

    On loopback (`strict` False) any key is accepted and only presigned URLs are verified: with the secret of a known
    key, else with `test`. Elsewhere every signature is verified, and unknown keys are refused. Where IAM is enforced
    (`enforcing`), so are the signatures of keys in the form that IAM and STS issue; others act as the account's root user, and a
    request without a signature is refused, or anonymous (S3).
    """

    def __init__(
        self,
        identify: Callable[[str], Identity | None],
        now: Callable[[], float],
        wall: Callable[[], float],
        *,
        account: str,
        strict: bool,
    ) -> None:
        self._identify = identify
        self._now = now
        self._wall = wall
        self._account = account
        self._root = f"arn:aws:iam::{account}:root"
        self.strict = strict
        self.enforcing = False
        self._callers: dict[str, Caller] = {}  # by credential scope as sent, of keys that nobody issued

    def caller(self, request: HttpRequest, kind: str, unsigned: bool = False, body: bool = True) -> Caller:
        """Who calls. Raises: AwsError.

        kind      in whose words errors are: "s3", "query" or "json"
        unsigned  the operation is one that AWS takes without a signature
        body      False: the body has not arrived yet, so its digest is taken as the client says
        """
        header = request.headers.get("authorization")
        if header is not None:
            if header.startswith(sigv4.ALGORITHM):
                return self._header(request, header, kind, body)
            return self._other_header(request, header, kind)
        query = request.query
        if query:
            if "X-Amz-Signature=" in query or "X-Amz-Algorithm=" in query:
                return self._presigned(request, kind)
            if "Signature=" in query and "AWSAccessKeyId=" in query:
                return self._verify_v2(request)
        if unsigned:
            return Caller(self._account, DEFAULT_REGION, self._root)
        return self._nobody(kind)

    def _nobody(self, kind: str) -> Caller:
        if self.enforcing and kind == "s3":
            return Caller(self._account, DEFAULT_REGION, ANONYMOUS)
        if self.strict or self.enforcing:
            raise _missing(kind)
        return Caller(self._account, DEFAULT_REGION, self._root)

    def posted(self, fields: dict[str, str]) -> Caller:
        """Who signed the policy of a form (its fields in lower case): always verified; a form without one is unsigned.

        Raises: AwsError. Source: S3 API reference, "Authenticating Requests in Browser-Based Uploads Using POST".
        """
        policy = fields.get("policy")
        if policy is None:
            if "x-amz-signature" in fields or "signature" in fields:
                raise _unfielded("Policy")
            return self._nobody("s3")
        try:
            claim = sigv4.posted_claim(fields)
        except KeyError as error:
            raise _unfielded(error.args[0]) from error
        except sigv4.Malformed as error:
            raise GenericAwsError("AuthorizationQueryParametersError", str(error), 400) from error
        identity = self.known(claim.access_key)
        secret = self._secret(claim.access_key, identity, "s3")
        ours = sigv4.v2_sign(secret, policy) if claim.version == 2 else sigv4.sign(secret, claim, policy)
        if not sigv4.same(ours, claim.signature):
            raise _mismatch("s3", claim, policy, None)
        return self._of(claim.access_key, claim.region, identity)

    def known(self, access_key: str) -> Identity | None:
        """Whose key it is; keys that do not look like AWS's are not looked up on loopback."""
        if self.strict or _issued(access_key):
            return self._identify(access_key)
        return None

    def _verifies(self, access_key: str) -> bool:
        return self.strict or (self.enforcing and _issued(access_key))

    def _of(self, access_key: str, region: str, identity: Identity | None) -> Caller:
        if identity is not None:
            return Caller(identity.account, region, identity.arn, access_key)
        if len(access_key) == 12 and access_key.isdigit():
            return Caller(access_key, region, f"arn:aws:iam::{access_key}:root", access_key)
        return Caller(self._account, region, self._root, access_key)

    # version 4

    def _header(self, request: HttpRequest, header: str, kind: str, body: bool) -> Caller:
        if not self.strict:
            start = header.find("Credential=")
            if start >= 0 and "Signature=" in header and "SignedHeaders=" in header:
                end = header.find(",", start)
                scope = header[start + 11 : end if end >= 0 else None]
                caller = self._callers.get(scope)
                if caller is not None:
                    return caller
                parts = scope.split("/")
                key = parts[0]
                if len(parts) == 5 and parts[4].strip() == "aws4_request" and key and not self._verifies(key):
                    caller = self._of(key, parts[2] or DEFAULT_REGION, self.known(key))
                    if not _issued(key):
                        if len(self._callers) >= _CALLERS:
                            self._callers.clear()
                        self._callers[scope] = caller
                    return caller
        try:
            claim = sigv4.header_claim(request)
            signed_at = claim.signed_at
        except sigv4.Malformed as error:
            raise _malformed(kind, str(error)) from error
        identity = self.known(claim.access_key)
        if self._verifies(claim.access_key):
            secret = self._secret(claim.access_key, identity, kind)
            self._check_skew(signed_at, kind)
            if body:
                self._check_payload(request)
            self._verify_v4(request, claim, secret, kind)
            self._check_token(request.headers.get("x-amz-security-token", ""), identity, kind)
        return self._of(claim.access_key, claim.region, identity)

    def _presigned(self, request: HttpRequest, kind: str) -> Caller:
        try:
            claim = sigv4.presigned_claim(request)
        except sigv4.Malformed as error:
            raise GenericAwsError("AuthorizationQueryParametersError", str(error), 400) from error
        identity = self.known(claim.access_key)
        secret = self._secret(claim.access_key, identity, kind)
        assert claim.expires_s is not None
        now, at = self._now(), claim.signed_at
        if now > at + claim.expires_s:
            members = {
                "X-Amz-Expires": str(claim.expires_s),
                "Expires": sigv4.iso(at + claim.expires_s),
                "ServerTime": sigv4.iso(now),
            }
            raise _expired(members if kind == "s3" else {})
        if at > max(now, self._wall()) + _SKEW_S:
            raise GenericAwsError("AccessDenied", "Request is not valid yet", 403)
        self._verify_v4(request, claim, secret, kind)
        if self._verifies(claim.access_key):
            given = dict(parse_qsl(request.query)).get("X-Amz-Security-Token", "")
            self._check_token(given or request.headers.get("x-amz-security-token", ""), identity, kind)
        return self._of(claim.access_key, claim.region, identity)

    def _check_token(self, given: str, identity: Identity | None, kind: str) -> None:
        """Temporary credentials are three parts."""
        if identity is None or sigv4.same(identity.token, given):
            return
        if kind == "s3":
            message = "The provided token is malformed or otherwise invalid."
            raise GenericAwsError("InvalidToken", message, 400, members={"Token-0": given})
        raise _invalid_token(kind)

    def _secret(self, access_key: str, identity: Identity | None, kind: str) -> str:
        if identity is not None:
            return identity.secret
        if not self._verifies(access_key):
            return DEFAULT_SECRET
        if kind == "s3":
            message = "The AWS Access Key Id you provided does not exist in our records."
            raise GenericAwsError("InvalidAccessKeyId", message, 403, members={"AWSAccessKeyId": access_key})
        raise _invalid_token(kind)

    def _check_skew(self, signed_at: float, kind: str) -> None:
        now = self._wall()
        if abs(now - signed_at) <= _SKEW_S:
            return
        if not self.strict and abs(self._now() - signed_at) <= _SKEW_S:
            return  # functions sign at the cloud's time
        if kind == "s3":
            message = "The difference between the request time and the current time is too large."
            members = {"RequestTime": sigv4.iso(signed_at), "ServerTime": sigv4.iso(now)}
            raise GenericAwsError(
                "RequestTimeTooSkewed", message, 403, members={**members, "MaxAllowedSkewMilliseconds": "900000"}
            )
        code, status = ("SignatureDoesNotMatch", 403) if kind == "query" else ("InvalidSignatureException", 400)
        raise GenericAwsError(
            code, f"Signature expired: {sigv4.iso(signed_at)} is now earlier than {sigv4.iso(now - _SKEW_S)}", status
        )

    def _check_payload(self, request: HttpRequest) -> None:
        """The digest that is signed must be the body's."""
        said = request.headers.get("x-amz-content-sha256")
        if said is None or said == sigv4.UNSIGNED or said.startswith("STREAMING-"):
            return
        ours = sigv4.body_sha256(request)
        if not sigv4.same(ours, said):
            members = {"ClientComputedContentSHA256": said, "S3ComputedContentSHA256": ours}
            message = "The provided 'x-amz-content-sha256' header does not match what was computed."
            raise GenericAwsError("XAmzContentSHA256Mismatch", message, 400, members=members)

    def _verify_v4(self, request: HttpRequest, claim: sigv4.Claim, secret: str, kind: str) -> None:
        canonical = sigv4.canonical_request(request, claim, sigv4.payload_hash(request, claim))
        text = sigv4.string_to_sign(claim, canonical)
        if not sigv4.same(sigv4.sign(secret, claim, text), claim.signature):
            raise _mismatch(kind, claim, text, canonical)

    # version 2 and others

    def _other_header(self, request: HttpRequest, header: str, kind: str) -> Caller:
        if header.startswith("AWS ") and kind == "s3":
            return self._verify_v2(request)
        if kind == "s3":
            raise GenericAwsError(
                "InvalidArgument",
                "Unsupported Authorization Type",
                400,
                members={"ArgumentName": "Authorization", "ArgumentValue": header},
            )
        if header.startswith("Bearer ") and not self.strict:
            return Caller(self._account, DEFAULT_REGION, self._root)
        raise _malformed(
            kind,
            f"Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' "
            f"parameter. Authorization header requires 'SignedHeaders' parameter. Authorization={header.split(' ', 1)[0]}",
        )

    def _verify_v2(self, request: HttpRequest) -> Caller:
        try:
            claim = sigv4.v2_claim(request)
        except sigv4.Malformed as error:
            raise GenericAwsError("AccessDenied", str(error), 403) from error
        identity = self.known(claim.access_key)
        if claim.presigned or self._verifies(claim.access_key):
            secret = self._secret(claim.access_key, identity, "s3")
            if claim.expires_s is not None and self._now() > claim.expires_s:
                raise _expired({"Expires": sigv4.iso(claim.expires_s), "ServerTime": sigv4.iso(self._now())})
            text = sigv4.v2_string_to_sign(request, claim, s3_path(request))
            if not sigv4.same(sigv4.v2_sign(secret, text), claim.signature):
                raise _mismatch("s3", claim, text, None)
        return self._of(claim.access_key, DEFAULT_REGION, identity)


def _issued(access_key: str) -> bool:
    """Whether it looks like a key that IAM or STS made."""
    return access_key.startswith(("ASIA", "AKIA")) and len(access_key) >= 16


def _invalid_token(kind: str) -> AwsError:
    code, status = ("InvalidClientTokenId", 403) if kind == "query" else ("UnrecognizedClientException", 400)
    return GenericAwsError(code, "The security token included in the request is invalid.", status)


def _missing(kind: str) -> AwsError:
    if kind == "s3":
        return GenericAwsError("AccessDenied", "Access Denied", 403)
    code = "MissingAuthenticationToken" if kind == "query" else "MissingAuthenticationTokenException"
    return GenericAwsError(code, "Request is missing Authentication Token", 403)


def _unfielded(name: str) -> AwsError:
    message = (
        f"Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of the fields."
    )
    return GenericAwsError("InvalidArgument", message, 400, members={"ArgumentName": name, "ArgumentValue": ""})


def _malformed(kind: str, message: str) -> AwsError:
    if kind == "s3":
        return GenericAwsError("AuthorizationHeaderMalformed", f"The authorization header is malformed; {message}", 400)
    code = "IncompleteSignature" if kind == "query" else "IncompleteSignatureException"
    return GenericAwsError(code, message, 400)


def _expired(members: dict[str, str]) -> AwsError:
    return GenericAwsError("AccessDenied", "Request has expired", 403, members=members)


def _mismatch(kind: str, claim: sigv4.Claim, text: str, canonical: str | None) -> AwsError:
    if kind != "s3":
        code, status = ("SignatureDoesNotMatch", 403) if kind == "query" else ("InvalidSignatureException", 400)
        message = (
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
            "Access Key and signing method. Consult the service documentation for details."
        )
        return GenericAwsError(code, message, status, hint=f"the canonical request was\n{canonical}")
    members = {"AWSAccessKeyId": claim.access_key, "StringToSign": text, "SignatureProvided": claim.signature,
               "StringToSignBytes": text.encode().hex(" ")}  # fmt: skip
    if canonical is not None:
        members["CanonicalRequest"] = canonical
        members["CanonicalRequestBytes"] = canonical.encode().hex(" ")
    message = (
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method."
    )
    return GenericAwsError("SignatureDoesNotMatch", message, 403, members=members)
