"""Operations on a bucket's lifecycle rules, and what a rule says of an object.

Source: S3 API_PutBucketLifecycleConfiguration; user guide, "Lifecycle configuration elements", "Transitioning objects using
Amazon S3 Lifecycle", "Expiring objects" (read 2026-11).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cumulet.kernel.context import Context
from cumulet.kernel.record import replace
from cumulet.services.s3 import rules as _rules
from cumulet.services.s3.access import open_bucket as _open_bucket
from cumulet.services.s3.errors import InvalidArgument, InvalidRequest, MalformedXML, NotThere, refused
from cumulet.services.s3.model import bucket_key as _bucket_key
from cumulet.services.s3.sweeping import begin as _begin

if TYPE_CHECKING:
    from cumulet.services.s3 import api

Json = dict[str, Any]

_MOST_RULES = 1000
_ID_CHARACTERS = 255
_MOST_NEWER = 100
_ACTIONS = (
    "Expiration", "Transitions", "NoncurrentVersionExpiration", "NoncurrentVersionTransitions",
    "AbortIncompleteMultipartUpload",
)  # fmt: skip
_SIZES = ("varies_by_storage_class", "all_storage_classes_128K")


def put_bucket_lifecycle_configuration(
    ctx: Context, req: api.PutBucketLifecycleConfigurationRequest
) -> api.PutBucketLifecycleConfigurationResult:
    """Replace the bucket's lifecycle rules, at most 1000; they are carried out at each midnight (UTC).

    Raises: NoSuchBucket, MalformedXML, InvalidArgument, InvalidRequest; NotImplemented for transitions to GLACIER and
    DEEP_ARCHIVE, whose objects would have to be restored.
    """
    bucket = _open_bucket(ctx, req)
    given = req.get("LifecycleConfiguration", {}).get("Rules", [])
    if not 0 < len(given) <= _MOST_RULES:
        raise MalformedXML()
    rules: list[Json] = []
    ids = set()
    for each in given:
        rule = {**each, "ID": each.get("ID") or ctx.ids.uuid()}
        _check(rule)
        if rule["ID"] in ids:
            raise InvalidArgument("Rule ID must be unique. Found same ID for more than one rule", "ID", rule["ID"])
        ids.add(rule["ID"])
        rules.append(rule)
    size = req.get("TransitionDefaultMinimumObjectSize", _SIZES[1])
    if size not in _SIZES:
        raise InvalidRequest("The value of the x-amz-transition-default-minimum-object-size header is not valid.")
    ctx.tx.put(_bucket_key(bucket.name), replace(bucket, lifecycle=rules, lifecycle_size=size))
    _begin(ctx, bucket)
    return {"TransitionDefaultMinimumObjectSize": size}


def get_bucket_lifecycle_configuration(
    ctx: Context, req: api.GetBucketLifecycleConfigurationRequest
) -> api.GetBucketLifecycleConfigurationResult:
    """The bucket's lifecycle rules. Raises: NoSuchBucket, NoSuchLifecycleConfiguration.

    Source: S3 API_GetBucketLifecycleConfiguration (read 2026-11).
    """
    bucket = _open_bucket(ctx, req)
    if bucket.lifecycle is None:
        raise NotThere("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist", bucket.name)
    return {"Rules": bucket.lifecycle, "TransitionDefaultMinimumObjectSize": bucket.lifecycle_size}  # type: ignore[typeddict-item]


def delete_bucket_lifecycle(ctx: Context, req: api.DeleteBucketLifecycleRequest) -> api.DeleteBucketLifecycleResult:
    """Remove the rules; nothing expires any more. Raises: NoSuchBucket. Source: S3 API_DeleteBucketLifecycle."""
    bucket = _open_bucket(ctx, req)
    ctx.tx.put(_bucket_key(bucket.name), replace(bucket, lifecycle=None, lifecycle_size=""))
    return {}


def _check(rule: Json) -> None:
    if len(rule["ID"]) > _ID_CHARACTERS:
        raise InvalidArgument(f"ID length should not exceed allowed limit of {_ID_CHARACTERS}", "ID", rule["ID"])
    if rule["Status"] not in ("Enabled", "Disabled") or ("Prefix" in rule) == ("Filter" in rule):
        raise MalformedXML()
    if not any(rule.get(action) for action in _ACTIONS):
        raise InvalidRequest("At least one action needs to be specified in a rule")
    _check_filter(rule)
    _check_expiration(rule)
    for action, days in (("NoncurrentVersionExpiration", True), ("NoncurrentVersionTransitions", False)):
        found = rule.get(action, [])
        for each in [found] if isinstance(found, dict) else found:
            _check_noncurrent(action, each, days)
    for each in rule.get("Transitions", []):
        _check_transition(rule, each)
    if "AbortIncompleteMultipartUpload" in rule:
        _positive(
            rule["AbortIncompleteMultipartUpload"], "DaysAfterInitiation", "AbortIncompleteMultipartUpload action"
        )
        if _rules.tags(rule) or _rules.sizes(rule) != (None, None):
            part = "Tags" if _rules.tags(rule) else "ObjectSizeGreaterThan or ObjectSizeLessThan"
            raise InvalidRequest(f"AbortIncompleteMultipartUpload cannot be specified with {part}.")


def _check_filter(rule: Json) -> None:
    found = rule.get("Filter", {})
    if len(found) > 1:
        raise MalformedXML()
    if "And" in found:
        both = found["And"]
        if len(both) + max(0, len(both.get("Tags", [])) - 1) < 2:
            raise MalformedXML()
        keys = [tag["Key"] for tag in both.get("Tags", [])]
        if len(keys) != len(set(keys)):
            raise InvalidRequest("Duplicate Tag Keys are not allowed.")
    greater, less = _rules.sizes(rule)
    if greater is not None and less is not None and less <= greater:
        raise InvalidRequest("'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'.")


def _check_expiration(rule: Json) -> None:
    if "Expiration" not in rule:
        return
    expiration = rule["Expiration"]
    if len(expiration) != 1:
        raise MalformedXML()
    if "Days" in expiration:
        _positive(expiration, "Days", "Expiration action")
        for each in rule.get("Transitions", []):
            if each.get("Days", 0) >= expiration["Days"]:
                raise InvalidArgument(
                    f"'Days' in the Expiration action for filter '(prefix={_rules.prefix(rule)})' must be greater than "
                    "'Days' in the Transition action",
                    "Days",
                    expiration["Days"],
                )
    if "Date" in expiration:
        _midnight(expiration["Date"])
    if "ExpiredObjectDeleteMarker" in expiration and (_rules.tags(rule) or _rules.sizes(rule) != (None, None)):
        part = "Tags" if _rules.tags(rule) else "ObjectSizeGreaterThan or ObjectSizeLessThan"
        raise InvalidRequest(f"ExpiredObjectDeleteMarker cannot be specified with {part}.")


def _check_noncurrent(action: str, each: Json, expires: bool) -> None:
    name = f"{action.removesuffix('s')} action"
    if "NoncurrentDays" not in each:
        raise MalformedXML()
    _positive(each, "NoncurrentDays", name)
    newer = each.get("NewerNoncurrentVersions")
    if newer is not None and not 0 < newer <= _MOST_NEWER:
        raise InvalidArgument(
            f"'NewerNoncurrentVersions' for {name} must be a positive integer of at most {_MOST_NEWER}",
            "NewerNoncurrentVersions",
            newer,
        )
    if not expires:
        _check_class(each, "NoncurrentDays")


def _check_transition(rule: Json, each: Json) -> None:
    if ("Days" in each) == ("Date" in each):
        raise MalformedXML()
    if "Date" in each:
        _midnight(each["Date"])
    elif each["Days"] < 0:
        raise InvalidArgument("'Days' in Transition action must be nonnegative", "Days", each["Days"])
    if ("Date" in each) != ("Date" in rule.get("Expiration", each)) and "ExpiredObjectDeleteMarker" not in rule.get(
        "Expiration", {}
    ):
        raise InvalidRequest("Found mixed 'Date' and 'Days' based Expiration and Transition actions in lifecycle rule")
    _check_class(each, "Days")


def _check_class(each: Json, days: str) -> None:
    name = each.get("StorageClass")
    if name in ("GLACIER", "DEEP_ARCHIVE"):
        raise refused(f"a transition to the storage class {name}")
    if name not in _rules.CLASSES:
        raise MalformedXML()
    least = 30 if name in ("STANDARD_IA", "ONEZONE_IA") else 0
    if days in each and each[days] < least:
        raise InvalidArgument(
            f"'{days}' in {'Noncurrent' if days != 'Days' else ''}Transition action must be greater than or equal to "
            f"{least} for storageClass '{name}'",
            days,
            each[days],
        )


def _positive(given: Json, member: str, action: str) -> None:
    if given.get(member, 0) < 1:
        raise InvalidArgument(f"'{member}' for {action} must be a positive integer", member, given.get(member, 0))


def _midnight(at: float) -> None:
    if at % _rules.DAY_S:
        raise InvalidArgument("'Date' must be at midnight GMT", "Date", at)
