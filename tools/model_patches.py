"""What botocore's models do not say, or say otherwise than AWS behaves: exceptions of single services, as data.

`queryLocationName` holds only in the query protocol; `queryErrors` maps an error shape to its code there, `queryMessages` to
its text; a query request without `queryPathMember` takes it from its path. `opaque` on a shape stops validation and conversion below it.
`validation` is the code and the style in which a service reports requests that break its model's constraints
(cumulet/wire/validate.py lists them).
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

_SQS_LISTS = {
    "AWSAccountIdList": "AWSAccountId",
    "ActionNameList": "ActionName",
    "AttributeNameList": "AttributeName",
    "BatchResultErrorEntryList": "BatchResultErrorEntry",
    "BinaryList": "BinaryListValue",
    "ChangeMessageVisibilityBatchRequestEntryList": "ChangeMessageVisibilityBatchRequestEntry",
    "ChangeMessageVisibilityBatchResultEntryList": "ChangeMessageVisibilityBatchResultEntry",
    "DeleteMessageBatchRequestEntryList": "DeleteMessageBatchRequestEntry",
    "DeleteMessageBatchResultEntryList": "DeleteMessageBatchResultEntry",
    "ListMessageMoveTasksResultEntryList": "ListMessageMoveTasksResultEntry",
    "MessageAttributeNameList": "MessageAttributeName",
    "MessageList": "Message",
    "MessageSystemAttributeList": "MessageSystemAttributeName",
    "QueueUrlList": "QueueUrl",
    "SendMessageBatchRequestEntryList": "SendMessageBatchRequestEntry",
    "SendMessageBatchResultEntryList": "SendMessageBatchResultEntry",
    "StringList": "StringListValue",
    "TagKeyList": "TagKey",
}
_SQS_MAPS = {
    "MessageBodyAttributeMap": ("Name", "Value"),
    "MessageBodySystemAttributeMap": ("Name", "Value"),
    "MessageSystemAttributeMap": ("Name", "Value"),
    "QueueAttributeMap": ("Name", "Value"),
    "TagMap": ("Key", "Value"),
}
_SQS_MEMBERS = {
    "MessageBodyAttributeMap": "MessageAttribute",
    "MessageBodySystemAttributeMap": "MessageSystemAttribute",
    "MessageSystemAttributeMap": "Attribute",
    "QueueAttributeMap": "Attribute",
    "TagMap": "Tag",
}
_SQS_PREFIX = "AWS.SimpleQueueService."
_SQS_ERRORS = {
    **{
        name: _SQS_PREFIX + name
        for name in (
            "BatchEntryIdsNotDistinct",
            "BatchRequestTooLong",
            "EmptyBatchRequest",
            "InvalidBatchEntryId",
            "MessageNotInflight",
            "PurgeQueueInProgress",
            "QueueDeletedRecently",
            "TooManyEntriesInBatchRequest",
            "UnsupportedOperation",
        )
    },
    "QueueDoesNotExist": _SQS_PREFIX + "NonExistentQueue",
    "QueueNameExists": "QueueAlreadyExists",
    "KmsAccessDenied": "KMS.AccessDeniedException",
    "KmsDisabled": "KMS.DisabledException",
    "KmsInvalidKeyUsage": "KMS.InvalidKeyUsageException",
    "KmsInvalidState": "KMS.InvalidStateException",
    "KmsNotFound": "KMS.NotFoundException",
    "KmsOptInRequired": "KMS.OptInRequired",
    "KmsThrottled": "KMS.ThrottlingException",
}


def sqs(model: Json) -> None:
    """SQS's query protocol of 2012-11-05, which botocore no longer lists.

    Source: SQS API reference, "Making requests"; AWS JSON protocol FAQ ("backward compatible").
    """
    shapes = model["shapes"]
    for name, member in _SQS_LISTS.items():
        shapes[name]["member"]["queryLocationName"] = member
        shapes[name]["flattened"] = True
    for name, (key, value) in _SQS_MAPS.items():
        shapes[name]["key"]["queryLocationName"] = key
        shapes[name]["value"]["queryLocationName"] = value
        shapes[name]["flattened"] = True
    for shape in shapes.values():
        for ref in shape.get("members", {}).values():
            if ref["shape"] in _SQS_MEMBERS:
                ref["queryLocationName"] = _SQS_MEMBERS[ref["shape"]]
    for name, operation in model["operations"].items():
        if "output" in operation:
            operation["output"]["resultWrapper"] = f"{name}Result"
    for name in ("SendMessageBatchRequest", "DeleteMessageBatchRequest", "ChangeMessageVisibilityBatchRequest"):
        shapes[name]["required"].remove("Entries")  # a form cannot name an empty list: EmptyBatchRequest says it better
    metadata = model["metadata"]
    metadata["protocols"] = ["json", "query"]
    metadata["xmlNamespace"] = "http://queue.amazonaws.com/doc/2012-11-05/"
    metadata["queryErrors"] = _SQS_ERRORS
    metadata["queryMessages"] = {
        "QueueDoesNotExist": "The specified queue does not exist for this wsdl version.",
    }
    metadata["queryPathMember"] = "QueueUrl"
    metadata["errorNamespace"] = "com.amazonaws.sqs"


def dynamodb(model: Json) -> None:
    """Attribute values stay as they are on the wire (B and BS as base64 text); the service checks them itself."""
    value = model["shapes"]["AttributeValue"]
    value["opaque"] = True
    model["metadata"]["errorNamespace"] = "com.amazonaws.dynamodb.v20120810"


_S3_ROOTS = {
    "ListBuckets": "ListAllMyBucketsResult",
    "ListDirectoryBuckets": "ListAllMyDirectoryBucketsResult",
    "ListObjects": "ListBucketResult",
    "ListObjectsV2": "ListBucketResult",
    "ListObjectVersions": "ListVersionsResult",
    "CreateMultipartUpload": "InitiateMultipartUploadResult",
    "CompleteMultipartUpload": "CompleteMultipartUploadResult",
    "ListMultipartUploads": "ListMultipartUploadsResult",
    "ListParts": "ListPartsResult",
    "DeleteObjects": "DeleteResult",
    "GetBucketAcl": "AccessControlPolicy",
    "GetObjectAcl": "AccessControlPolicy",
    "GetBucketTagging": "Tagging",
    "GetObjectTagging": "Tagging",
    "GetBucketVersioning": "VersioningConfiguration",
    "GetBucketCors": "CORSConfiguration",
    "GetBucketLifecycle": "LifecycleConfiguration",
    "GetBucketLifecycleConfiguration": "LifecycleConfiguration",
    "GetBucketLogging": "BucketLoggingStatus",
    "GetBucketWebsite": "WebsiteConfiguration",
    "GetBucketLocation": "LocationConstraint",
    "GetBucketRequestPayment": "RequestPaymentConfiguration",
    "GetBucketNotification": "NotificationConfiguration",
    "GetBucketNotificationConfiguration": "NotificationConfiguration",
    "GetBucketAccelerateConfiguration": "AccelerateConfiguration",
    "GetObjectAttributes": "GetObjectAttributesResponse",
    "CreateSession": "CreateSessionResult",
}


def s3(model: Json) -> None:
    """Root elements of S3's answers (the model names its shapes otherwise) and its one unwrapped answer.

    Source: the response syntax of each page in the S3 API reference.
    """
    model["metadata"]["xmlNamespace"] = "http://s3.amazonaws.com/doc/2006-03-01/"
    for name, root in _S3_ROOTS.items():
        model["operations"][name]["output"]["root"] = root
    model["operations"]["GetBucketLocation"]["output"]["unwrapped"] = "LocationConstraint"
    model["shapes"]["PartialContent"] = {"type": "integer"}
    for shape in ("GetObjectOutput", "HeadObjectOutput"):  # 206 for a range or a part
        model["shapes"][shape]["members"]["StatusCode"] = {"shape": "PartialContent", "location": "statusCode"}
    model["operations"]["ListDirectoryBuckets"]["http"]["requestUri"] = "/?x-id=ListDirectoryBuckets"


def cloudfront(model: Json) -> None:
    model["metadata"]["xmlNamespace"] = "http://cloudfront.amazonaws.com/doc/2020-05-31/"


def route53(model: Json) -> None:
    model["metadata"]["xmlNamespace"] = "https://route53.amazonaws.com/doc/2013-04-01/"


def cloudwatch(model: Json) -> None:
    model["metadata"]["errorNamespace"] = "com.amazonaws.cloudwatch"


def tagging(model: Json) -> None:
    model["metadata"]["errorNamespace"] = "com.amazonaws.resourcegroupstaggingapi"


_PATCHES = {
    "sqs": sqs,
    "dynamodb": dynamodb,
    "dynamodbstreams": dynamodb,
    "s3": s3,
    "cloudfront": cloudfront,
    "route53": route53,
    "cloudwatch": cloudwatch,
    "resourcegroupstaggingapi": tagging,
}

# The code under which a service reports what breaks its model's constraints, and the style of its words.
_VALIDATION = {
    "cognito-idp": ("InvalidParameterException", "detected"),
    "cognito-identity": ("ValidationException", "detected"),
    "logs": ("InvalidParameterException", "detected"),
    "ecr": ("InvalidParameterException", "detected"),
    "ecs": ("InvalidParameterException", "detected"),
    "eks": ("InvalidParameterException", "detected"),
    "apigateway": ("BadRequestException", "detected"),
    "apigatewayv2": ("BadRequestException", "detected"),
    "mq": ("BadRequestException", "detected"),
    "kafka": ("BadRequestException", "detected"),
    "efs": ("BadRequest", "detected"),
    "rds-data": ("BadRequestException", "detected"),
    "sqs": ("MissingParameter", "parameter"),
    "rds": ("MissingParameter", "parameter"),
    "elasticache": ("MissingParameter", "parameter"),
    "redshift": ("MissingParameter", "parameter"),
    "ec2": ("MissingParameter", "parameter"),
    "cloudwatch": ("ValidationError", "detected"),
    "s3": ("InvalidRequest", "s3"),
    "cloudfront": ("InvalidArgument", "detected"),
    "route53": ("InvalidInput", "detected"),
}


def apply(name: str, model: Json) -> None:
    """Patch the stripped model of service `name` in place."""
    if name in _PATCHES:
        _PATCHES[name](model)
    protocol = model["metadata"]["protocol"]
    code = "ValidationError" if protocol in ("query", "ec2") else "ValidationException"
    model["metadata"]["validation"] = list(_VALIDATION.get(name, (code, "detected")))
