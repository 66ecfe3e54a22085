"""S3's CloudFormation types.

Source: CloudFormation template reference, AWS::S3::Bucket, AWS::S3::BucketPolicy (read 2026-11).
"""

from __future__ import annotations

import json
from typing import Any

from cumulet.aws.errors import AwsError, NotImplementedOnCumulet
from cumulet.kernel.resource import Call, Created, Properties, Resource, Scope
from cumulet.services.s3 import cfn_settings as _cfn
from cumulet.services.s3.errors import BucketConflict

_SWITCHES = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
_BUCKET = "AWS::S3::Bucket"


def _tags(p: Properties, scope: Scope) -> list[dict[str, str]]:
    own = {tag["Key"]: str(tag["Value"]) for tag in p.get("Tags", [])}
    return [{"Key": key, "Value": value} for key, value in {**scope.tags, **own}.items()]


def _refuse(p: Properties) -> None:
    """Values that are not honoured, of properties that are. Raises: NotImplementedOnCumulet."""
    if p.get("AccessControl", "Private") not in ("Private", "BucketOwnerFullControl"):
        raise NotImplementedOnCumulet(
            f"Property AccessControl {p['AccessControl']} of {_BUCKET} is not supported by Cumulet."
        )
    if _cfn.flag(p.get("ObjectLockEnabled", False)):
        raise NotImplementedOnCumulet(f"Property ObjectLockEnabled of {_BUCKET} is not supported by Cumulet.")


def _encryption(p: Properties) -> list[dict[str, Any]]:
    """Rules as PutBucketEncryption takes them."""
    rules = []
    for rule in p["BucketEncryption"]["ServerSideEncryptionConfiguration"]:
        made: dict[str, Any] = {}
        if "ServerSideEncryptionByDefault" in rule:
            made["ApplyServerSideEncryptionByDefault"] = rule["ServerSideEncryptionByDefault"]
        if "BucketKeyEnabled" in rule:
            made["BucketKeyEnabled"] = _cfn.flag(rule["BucketKeyEnabled"])
        made.update(
            {name: rule[name] for name in rule if name not in ("ServerSideEncryptionByDefault", "BucketKeyEnabled")}
        )
        rules.append(made)
    return rules


def _configure(call: Call, name: str, p: Properties, old: Properties, scope: Scope) -> None:
    """Bring the settings from `old` to `p`; {} is what a new bucket has."""

    def changed(member: str) -> bool:
        return bool(p.get(member) != old.get(member))

    if changed("OwnershipControls"):
        rules = p.get("OwnershipControls", {}).get("Rules", [{"ObjectOwnership": "BucketOwnerEnforced"}])
        call("PutBucketOwnershipControls", Bucket=name, OwnershipControls={"Rules": rules})
    if changed("PublicAccessBlockConfiguration"):
        given = p.get("PublicAccessBlockConfiguration", dict.fromkeys(_SWITCHES, True))
        switches = {switch: _cfn.flag(given.get(switch, False)) for switch in _SWITCHES}
        call("PutPublicAccessBlock", Bucket=name, PublicAccessBlockConfiguration=switches)
    if changed("VersioningConfiguration"):
        status = p.get("VersioningConfiguration", {}).get("Status", "Suspended")
        call("PutBucketVersioning", Bucket=name, VersioningConfiguration={"Status": status})
    if changed("BucketEncryption"):
        if "BucketEncryption" in p:
            rules = _encryption(p)
            call("PutBucketEncryption", Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})
        else:
            call("DeleteBucketEncryption", Bucket=name)
    if changed("AccelerateConfiguration"):
        status = p.get("AccelerateConfiguration", {}).get("AccelerationStatus", "Suspended")
        call("PutBucketAccelerateConfiguration", Bucket=name, AccelerateConfiguration={"Status": status})
    _configure_more(call, name, p, old)
    tags = _tags(p, scope)
    if tags:
        call("PutBucketTagging", Bucket=name, Tagging={"TagSet": tags})
    elif old:
        call("DeleteBucketTagging", Bucket=name)


def _configure_more(call: Call, name: str, p: Properties, old: Properties) -> None:
    """The settings that can be taken away again; notifications come last, when all else holds."""

    def changed(member: str) -> bool:
        return bool(p.get(member) != old.get(member))

    if changed("CorsConfiguration"):
        if "CorsConfiguration" in p:
            call("PutBucketCors", Bucket=name, CORSConfiguration=_cfn.cors(p["CorsConfiguration"]))
        else:
            call("DeleteBucketCors", Bucket=name)
    if changed("LifecycleConfiguration"):
        if "LifecycleConfiguration" in p:
            given = p["LifecycleConfiguration"]
            request = {"LifecycleConfiguration": {"Rules": _cfn.lifecycle(given)}}
            if "TransitionDefaultMinimumObjectSize" in given:
                request["TransitionDefaultMinimumObjectSize"] = given["TransitionDefaultMinimumObjectSize"]
            call("PutBucketLifecycleConfiguration", Bucket=name, **request)
        else:
            call("DeleteBucketLifecycle", Bucket=name)
    if changed("WebsiteConfiguration"):
        if "WebsiteConfiguration" in p:
            call("PutBucketWebsite", Bucket=name, WebsiteConfiguration=_cfn.website(p["WebsiteConfiguration"]))
        else:
            call("DeleteBucketWebsite", Bucket=name)
    if changed("NotificationConfiguration"):
        wanted = _cfn.notifications(p.get("NotificationConfiguration", {}))
        call("PutBucketNotificationConfiguration", Bucket=name, NotificationConfiguration=wanted)


def _created(call: Call, name: str, scope: Scope) -> Created:
    return Created(
        name,
        {
            "Arn": f"arn:aws:s3:::{name}",
            "DomainName": f"{name}.s3.amazonaws.com",
            "RegionalDomainName": f"{name}.s3.{scope.region}.amazonaws.com",
            "DualStackDomainName": f"{name}.s3.dualstack.{scope.region}.amazonaws.com",
            "WebsiteURL": call("cumulet:WebsiteUrl", Bucket=name)["Url"],
        },
    )


def _create_bucket(call: Call, p: Properties, scope: Scope) -> Created:
    _refuse(p)
    name = p["BucketName"]
    if _exists(call, name):
        raise BucketConflict("BucketAlreadyExists", f"{name} already exists", name)
    request: Properties = {"Bucket": name}
    if scope.region != "us-east-1":
        request["CreateBucketConfiguration"] = {"LocationConstraint": scope.region}
    call("CreateBucket", **request)
    _configure(call, name, p, {}, scope)
    return _created(call, name, scope)


def _exists(call: Call, name: str) -> bool:
    try:
        call("HeadBucket", Bucket=name)
    except AwsError as error:
        if error.wire_code in ("NoSuchBucket", "InvalidBucketName"):
            return False
        if error.wire_code != "AccessDenied":
            raise
    return True


def _update_bucket(call: Call, p: Properties, old: Properties, scope: Scope) -> Created:
    _refuse(p)
    name = str(scope.physical_id)
    _configure(call, name, p, old, scope)
    return _created(call, name, scope)


def _delete_bucket(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteBucket", Bucket=scope.physical_id)


def _policy_text(p: Properties) -> str:
    document = p["PolicyDocument"]
    return document if isinstance(document, str) else json.dumps(document)


def _put_policy(call: Call, p: Properties, scope: Scope) -> Created:
    call("PutBucketPolicy", Bucket=p["Bucket"], Policy=_policy_text(p))
    return Created(p["Bucket"])


def _delete_policy(call: Call, p: Properties, scope: Scope) -> None:
    call("DeleteBucketPolicy", Bucket=p["Bucket"])


BUCKET = Resource(
    type=_BUCKET,
    service="s3",
    properties=frozenset(
        [
            "AccelerateConfiguration",
            "AccessControl",
            "BucketEncryption",
            "BucketName",
            "CorsConfiguration",
            "LifecycleConfiguration",
            "NotificationConfiguration",
            "ObjectLockEnabled",
            "OwnershipControls",
            "PublicAccessBlockConfiguration",
            "Tags",
            "VersioningConfiguration",
            "WebsiteConfiguration",
        ]
    ),
    members={
        "AccelerateConfiguration": frozenset({"AccelerationStatus"}),
        "BucketEncryption": frozenset({"ServerSideEncryptionConfiguration"}),
        **{
            f"NotificationConfiguration.{kind}Configurations{inner}": names
            for kind in ("Lambda", "Queue", "Topic")
            for inner, names in (
                ("", frozenset({"Event", "Filter", "Function" if kind == "Lambda" else kind})),
                (".Filter", frozenset({"S3Key"})),
                (".Filter.S3Key", frozenset({"Rules"})),
                (".Filter.S3Key.Rules", frozenset({"Name", "Value"})),
            )
        },
        "OwnershipControls": frozenset({"Rules"}),
        "PublicAccessBlockConfiguration": frozenset(_SWITCHES),
        "VersioningConfiguration": frozenset({"Status"}),
    },
    create=_create_bucket,
    update=_update_bucket,
    delete=_delete_bucket,
    replace_on=frozenset({"BucketName", "ObjectLockEnabled"}),
    name="BucketName",
    name_max=63,
    name_lower=True,
)

BUCKET_POLICY = Resource(
    type="AWS::S3::BucketPolicy",
    service="s3",
    properties=frozenset({"Bucket", "PolicyDocument"}),
    required=frozenset({"Bucket", "PolicyDocument"}),
    create=_put_policy,
    update=lambda call, p, old, scope: _put_policy(call, p, scope),
    delete=_delete_policy,
    replace_on=frozenset({"Bucket"}),
)

RESOURCES = (BUCKET, BUCKET_POLICY)
