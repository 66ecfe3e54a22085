"""Operations on a bucket's settings: versioning, tags, policy, public access block, ownership, encryption, CORS, ACLs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cumulet.aws.errors import AccessDenied
from cumulet.aws.jsontext import NotJson, read_json
from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.s3 import versions as _versions
from cumulet.services.s3.access import ENCRYPTIONS
from cumulet.services.s3.access import check_acl as _check_acl
from cumulet.services.s3.access import check_tags as _check_tags
from cumulet.services.s3.access import open_bucket as _open_bucket
from cumulet.services.s3.errors import InvalidArgument, MalformedPolicy, MalformedXML, NotThere, refused
from cumulet.services.s3.model import ENABLED, SUSPENDED, Bucket
from cumulet.services.s3.model import bucket_key as _bucket_key
from cumulet.services.s3.model import owner as _owner

if TYPE_CHECKING:
    from cumulet.services.s3 import api

_POLICY_BYTES = 20 * 1024
_PUBLIC_ACCESS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


def _change(ctx: Context, bucket: Bucket, **changes: Any) -> None:
    ctx.tx.put(_bucket_key(bucket.name), replace(bucket, **changes))


def put_bucket_versioning(ctx: Context, req: api.PutBucketVersioningRequest) -> api.PutBucketVersioningResult:
    """Enable or suspend versioning; it cannot be taken back to never-enabled.

    Raises: NoSuchBucket, MalformedXML; NotImplemented for MFA delete. Source: S3 API_PutBucketVersioning (read 2026-11).
    """
    bucket = _open_bucket(ctx, req)
    configuration = req["VersioningConfiguration"]
    if configuration.get("MFADelete") == ENABLED:
        raise refused("MFA delete")
    if configuration.get("Status") not in (ENABLED, SUSPENDED):
        raise MalformedXML()
    _change(ctx, bucket, versioning=configuration["Status"])
    return {}


def get_bucket_versioning(ctx: Context, req: api.GetBucketVersioningRequest) -> api.GetBucketVersioningResult:
    """Enabled, Suspended, or nothing when it never was. Raises: NoSuchBucket. Source: S3 API_GetBucketVersioning."""
    bucket = _open_bucket(ctx, req)
    return {"Status": bucket.versioning} if bucket.versioning else {}


def put_bucket_tagging(ctx: Context, req: api.PutBucketTaggingRequest) -> api.PutBucketTaggingResult:
    """Replace the bucket's tags (at most 50). Raises: NoSuchBucket, InvalidTag. Source: S3 API_PutBucketTagging."""
    bucket = _open_bucket(ctx, req)
    _change(ctx, bucket, tags=_check_tags(req["Tagging"]["TagSet"], 50))
    return {}


def get_bucket_tagging(ctx: Context, req: api.GetBucketTaggingRequest) -> api.GetBucketTaggingResult:
    """The bucket's tags. Raises: NoSuchBucket, NoSuchTagSet. Source: S3 API_GetBucketTagging (read 2026-11)."""
    bucket = _open_bucket(ctx, req)
    if not bucket.tags:
        raise NotThere("NoSuchTagSet", "The TagSet does not exist", bucket.name)
    return {"TagSet": [{"Key": name, "Value": value} for name, value in bucket.tags.items()]}


def delete_bucket_tagging(ctx: Context, req: api.DeleteBucketTaggingRequest) -> api.DeleteBucketTaggingResult:
    """Remove all tags. Raises: NoSuchBucket. Source: S3 API_DeleteBucketTagging (read 2026-11)."""
    _change(ctx, _open_bucket(ctx, req), tags={})
    return {}


def put_bucket_policy(ctx: Context, req: api.PutBucketPolicyRequest) -> api.PutBucketPolicyResult:
    """Keep a bucket policy, checked; it decides where IAM is enforced. A public one is refused while
    BlockPublicPolicy holds.

    Raises: NoSuchBucket, MalformedPolicy, AccessDenied. Source: S3 API_PutBucketPolicy (read 2026-11).
    """
    bucket, policy = _open_bucket(ctx, req), req["Policy"]
    statements = _policy_statements(policy, bucket)
    if (bucket.public_access or {}).get("BlockPublicPolicy") and any(_is_public(each) for each in statements):
        raise AccessDenied(
            f"User: {ctx.principal} is not authorized to perform: s3:PutBucketPolicy on resource: "
            f'"arn:aws:s3:::{bucket.name}" because public policies are blocked by the BlockPublicPolicy block public '
            "access setting.",
            hint="PutPublicAccessBlock with BlockPublicPolicy false allows it",
        )
    _change(ctx, bucket, policy=policy)
    return {}


def _policy_statements(policy: str, bucket: Bucket) -> list[Any]:
    if len(policy.encode()) > _POLICY_BYTES:
        raise MalformedPolicy("Policies must not exceed 20480 bytes")
    try:
        document = read_json(policy)
    except NotJson as error:
        raise MalformedPolicy("Policies must be valid JSON and the first byte must be '{'") from error
    if not isinstance(document, dict):
        raise MalformedPolicy("Policies must be valid JSON and the first byte must be '{'")
    found = document.get("Statement")
    statements = [found] if isinstance(found, dict) else found
    if not isinstance(statements, list) or not statements:
        raise MalformedPolicy("Missing required field Statement")
    for statement in statements:
        for name, other in (
            ("Effect", ""),
            ("Principal", "NotPrincipal"),
            ("Action", "NotAction"),
            ("Resource", "NotResource"),
        ):
            if name not in statement and other not in statement:
                raise MalformedPolicy(f"Missing required field {name}")
        if statement["Effect"] not in ("Allow", "Deny"):
            raise MalformedPolicy(f"Invalid effect: {statement['Effect']}")
        resources = statement.get("Resource", statement.get("NotResource"))
        for resource in [resources] if isinstance(resources, str) else resources:
            target = resource.removeprefix("arn:aws:s3:::").partition("/")[0]
            if not resource.startswith("arn:aws:s3:::") or ("*" not in target and target != bucket.name):
                raise MalformedPolicy("Policy has invalid resource", members={"Detail": resource})
    return statements


def _is_public(statement: Any) -> bool:
    """Whether a statement lets anyone in. One with a condition does not count: most conditions name somebody."""
    if statement["Effect"] != "Allow" or statement.get("Condition"):
        return False
    principal = statement.get("Principal", "*")
    named = principal.get("AWS", []) if isinstance(principal, dict) else principal
    return "*" in ([named] if isinstance(named, str) else named)


def get_bucket_policy(ctx: Context, req: api.GetBucketPolicyRequest) -> api.GetBucketPolicyResult:
    """The policy's text. Raises: NoSuchBucket, NoSuchBucketPolicy. Source: S3 API_GetBucketPolicy (read 2026-11)."""
    return {"Policy": _policy(_open_bucket(ctx, req))}


def get_bucket_policy_status(ctx: Context, req: api.GetBucketPolicyStatusRequest) -> api.GetBucketPolicyStatusResult:
    """Whether the policy makes the bucket public. Raises: NoSuchBucketPolicy. Source: S3 API_GetBucketPolicyStatus."""
    bucket = _open_bucket(ctx, req)
    public = any(_is_public(each) for each in _policy_statements(_policy(bucket), bucket))
    return {"PolicyStatus": {"IsPublic": public}}


def _policy(bucket: Bucket) -> str:
    if bucket.policy is None:
        raise NotThere("NoSuchBucketPolicy", "The bucket policy does not exist", bucket.name)
    return bucket.policy


def delete_bucket_policy(ctx: Context, req: api.DeleteBucketPolicyRequest) -> api.DeleteBucketPolicyResult:
    """Remove the policy. Raises: NoSuchBucket. Source: S3 API_DeleteBucketPolicy (read 2026-11)."""
    _change(ctx, _open_bucket(ctx, req), policy=None)
    return {}


def put_public_access_block(ctx: Context, req: api.PutPublicAccessBlockRequest) -> api.PutPublicAccessBlockResult:
    """Set the four switches; what is left out is false. BlockPublicPolicy is honoured; there are no public ACLs anyway.

    Raises: NoSuchBucket. Source: S3 API_PutPublicAccessBlock (read 2026-11).
    """
    configuration = req["PublicAccessBlockConfiguration"]
    switches = {name: bool(configuration.get(name, False)) for name in _PUBLIC_ACCESS}
    _change(ctx, _open_bucket(ctx, req), public_access=switches)
    return {}


def get_public_access_block(ctx: Context, req: api.GetPublicAccessBlockRequest) -> api.GetPublicAccessBlockResult:
    """The four switches; all true on a new bucket. Raises: NoSuchBucket, NoSuchPublicAccessBlockConfiguration."""
    bucket = _open_bucket(ctx, req)
    if bucket.public_access is None:
        raise NotThere(
            "NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found", bucket.name
        )
    return {"PublicAccessBlockConfiguration": bucket.public_access}  # type: ignore[typeddict-item]


def delete_public_access_block(
    ctx: Context, req: api.DeletePublicAccessBlockRequest
) -> api.DeletePublicAccessBlockResult:
    """Remove the switches. Raises: NoSuchBucket. Source: S3 API_DeletePublicAccessBlock (read 2026-11)."""
    _change(ctx, _open_bucket(ctx, req), public_access=None)
    return {}


def put_bucket_ownership_controls(
    ctx: Context, req: api.PutBucketOwnershipControlsRequest
) -> api.PutBucketOwnershipControlsResult:
    """Set who owns new objects; BucketOwnerEnforced turns ACLs off. Raises: NoSuchBucket, MalformedXML.

    Source: S3 API_PutBucketOwnershipControls (read 2026-11).
    """
    rules = req["OwnershipControls"].get("Rules", [])
    if len(rules) != 1 or rules[0]["ObjectOwnership"] not in (
        "BucketOwnerEnforced",
        "BucketOwnerPreferred",
        "ObjectWriter",
    ):
        raise MalformedXML()
    _change(ctx, _open_bucket(ctx, req), ownership=rules[0]["ObjectOwnership"])
    return {}


def get_bucket_ownership_controls(
    ctx: Context, req: api.GetBucketOwnershipControlsRequest
) -> api.GetBucketOwnershipControlsResult:
    """The ownership rule. Raises: NoSuchBucket, OwnershipControlsNotFoundError."""
    bucket = _open_bucket(ctx, req)
    if bucket.ownership is None:
        raise NotThere("OwnershipControlsNotFoundError", "The bucket ownership controls were not found", bucket.name)
    return {"OwnershipControls": {"Rules": [{"ObjectOwnership": bucket.ownership}]}}


def delete_bucket_ownership_controls(
    ctx: Context, req: api.DeleteBucketOwnershipControlsRequest
) -> api.DeleteBucketOwnershipControlsResult:
    """Remove the rule. Raises: NoSuchBucket. Source: S3 API_DeleteBucketOwnershipControls (read 2026-11)."""
    _change(ctx, _open_bucket(ctx, req), ownership=None)
    return {}


def put_bucket_encryption(ctx: Context, req: api.PutBucketEncryptionRequest) -> api.PutBucketEncryptionResult:
    """The encryption of new objects: SSE-S3 (AES256), or SSE-KMS (aws:kms) with a key of one's own or the AWS managed one.

    Raises: NoSuchBucket, MalformedXML, InvalidArgument; NotImplemented for DSSE.
    Source: S3 API_PutBucketEncryption (read 2026-11).
    """
    bucket = _open_bucket(ctx, req)
    rules = req["ServerSideEncryptionConfiguration"].get("Rules", [])
    if len(rules) != 1:
        raise MalformedXML()
    default = rules[0].get("ApplyServerSideEncryptionByDefault", {"SSEAlgorithm": "AES256"})
    if default["SSEAlgorithm"] not in ENCRYPTIONS:
        raise refused(f"encryption with {default['SSEAlgorithm']}")
    if "KMSMasterKeyID" in default and default["SSEAlgorithm"] != "aws:kms":
        raise InvalidArgument(
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms",
            "ApplyServerSideEncryptionByDefault",
            default["SSEAlgorithm"],
        )
    if "BlockedEncryptionTypes" in rules[0]:
        raise refused("BlockedEncryptionTypes")
    _change(ctx, bucket, encryption=[dict(rule) for rule in rules])
    return {}


def get_bucket_encryption(ctx: Context, req: api.GetBucketEncryptionRequest) -> api.GetBucketEncryptionResult:
    """The encryption rule; SSE-S3 unless one was put. Raises: NoSuchBucket. Source: S3 API_GetBucketEncryption."""
    bucket = _open_bucket(ctx, req)
    usual = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}
    rules = [usual] if bucket.encryption is None else bucket.encryption
    return {"ServerSideEncryptionConfiguration": {"Rules": rules}}  # type: ignore[typeddict-item]


def delete_bucket_encryption(ctx: Context, req: api.DeleteBucketEncryptionRequest) -> api.DeleteBucketEncryptionResult:
    """Back to the usual rule. Raises: NoSuchBucket. Source: S3 API_DeleteBucketEncryption (read 2026-11)."""
    _change(ctx, _open_bucket(ctx, req), encryption=None)
    return {}


def get_bucket_acl(ctx: Context, req: api.GetBucketAclRequest) -> api.GetBucketAclResult:
    """The owner's full control. Raises: NoSuchBucket. Source: S3 API_GetBucketAcl (read 2026-11)."""
    return _acl(_open_bucket(ctx, req))  # type: ignore[no-any-return]


def get_object_acl(ctx: Context, req: api.GetObjectAclRequest) -> api.GetObjectAclResult:
    """The owner's full control. Raises: NoSuchBucket, NoSuchKey. Source: S3 API_GetObjectAcl (read 2026-11)."""
    bucket = _open_bucket(ctx, req)
    _versions.readable(ctx, bucket, req["Key"], req.get("VersionId"), "GET")
    return _acl(bucket)  # type: ignore[no-any-return]


def _acl(bucket: Bucket) -> Any:
    owner = _owner(bucket.account)
    return {"Owner": owner, "Grants": [{"Grantee": {**owner, "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}]}


def put_bucket_acl(ctx: Context, req: api.PutBucketAclRequest) -> api.PutBucketAclResult:
    """Accept `private`; others are refused: by AWS's error where the owner is enforced, else as not implemented.

    Raises: NoSuchBucket, AccessControlListNotSupported. Source: S3 API_PutBucketAcl (read 2026-11).
    """
    _put_acl(_open_bucket(ctx, req), dict(req))
    return {}


def put_object_acl(ctx: Context, req: api.PutObjectAclRequest) -> api.PutObjectAclResult:
    """As PutBucketAcl, for an object. Raises: NoSuchKey, AccessControlListNotSupported."""
    bucket = _open_bucket(ctx, req)
    _versions.readable(ctx, bucket, req["Key"], req.get("VersionId"), "PUT")
    _put_acl(bucket, dict(req))
    return {}


def _put_acl(bucket: Bucket, req: dict[str, Any]) -> None:
    _check_acl(bucket, req)
    policy = req.get("AccessControlPolicy", {})
    if policy.get("Grants") and policy["Grants"] != _acl(bucket)["Grants"]:
        raise refused("AccessControlPolicy grants")
