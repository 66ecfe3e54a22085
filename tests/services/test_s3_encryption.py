"""Objects encrypted with KMS keys: what lies on disk, what answers say, and what happens when the key cannot be used."""

import json

import pytest
from botocore.exceptions import ClientError

SECRET = b"the secret bytes"
SIZES = [0, 1, 16, 65_536, 65_537, 131_072, 700_000, 3_000_000]


@pytest.fixture
def s3(aws):
    client = aws("s3")
    client.create_bucket(Bucket="box")
    return client


@pytest.fixture
def kms(aws):
    return aws("kms")


@pytest.fixture
def key(kms):
    return kms.create_key()["KeyMetadata"]["Arn"]


def default(key, **rule):
    by_default = {"SSEAlgorithm": "aws:kms", **({"KMSMasterKeyID": key} if key else {})}
    return {"Rules": [{"ApplyServerSideEncryptionByDefault": by_default, **rule}]}


@pytest.fixture
def sealed(s3, key):
    """The bucket encrypts with the key."""
    s3.put_bucket_encryption(Bucket="box", ServerSideEncryptionConfiguration=default(key))
    return s3


def refused(action, **request):
    with pytest.raises(ClientError) as caught:
        action(**request)
    return caught.value.response["Error"]["Code"]


def on_disk(cloud):
    store = cloud.cloud.store

    async def read():
        rows = [value for _, value in store.begin(None).scan_bytes(b"", b"\xff") if value]
        return b"".join(rows) + b"".join(path.read_bytes() for path in store.blobs.folder.rglob("*") if path.is_file())

    return cloud.run(read())


def body_of(size):
    pattern = SECRET + bytes(range(256)) * 3
    return (pattern * (size // len(pattern) + 1))[:size]


@pytest.mark.parametrize("size", SIZES)
def test_objects_of_any_size_come_back_and_are_not_readable_on_disk(sealed, key, cloud, size):
    body = body_of(size)
    put = sealed.put_object(Bucket="box", Key="k", Body=body)
    assert (put["ServerSideEncryption"], put["SSEKMSKeyId"]) == ("aws:kms", key)
    got = sealed.get_object(Bucket="box", Key="k", ChecksumMode="ENABLED")
    assert got["Body"].read() == body
    assert (got["ServerSideEncryption"], got["SSEKMSKeyId"], got["ContentLength"]) == ("aws:kms", key, size)
    head = sealed.head_object(Bucket="box", Key="k")
    assert (head["SSEKMSKeyId"], head["ContentLength"]) == (key, size)
    assert SECRET not in on_disk(cloud)


def test_without_a_key_objects_are_readable_on_disk(s3, cloud):
    """What the test above looks for can be found."""
    s3.put_object(Bucket="box", Key="small", Body=SECRET)
    assert SECRET in on_disk(cloud)


@pytest.mark.parametrize("size", [50_000, 400_000])
def test_ranges_are_decrypted_alone(sealed, size):
    body = body_of(size)
    sealed.put_object(Bucket="box", Key="k", Body=body)
    for first, last in (
        (0, 0),
        (0, 65_535),
        (65_535, 65_536),
        (65_536, 131_073),
        (131_070, 262_150),
        (size - 1, size - 1),
    ):
        if first < size:
            got = sealed.get_object(Bucket="box", Key="k", Range=f"bytes={first}-{last}")
            assert got["Body"].read() == body[first : last + 1], (first, last)
    got = sealed.get_object(Bucket="box", Key="k", Range="bytes=-70000")
    assert got["Body"].read() == body[-70_000:]


def test_a_request_may_name_its_own_key_or_none(s3, kms, key, cloud):
    kms.create_alias(AliasName="alias/mine", TargetKeyId=key)
    put = s3.put_object(Bucket="box", Key="own", Body=SECRET, ServerSideEncryption="aws:kms", SSEKMSKeyId="alias/mine")
    assert put["SSEKMSKeyId"] == key
    put = s3.put_object(Bucket="box", Key="aws", Body=SECRET, ServerSideEncryption="aws:kms", BucketKeyEnabled=True)
    assert put["SSEKMSKeyId"] == kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]["Arn"]
    assert put["BucketKeyEnabled"] is True
    assert SECRET not in on_disk(cloud)
    s3.put_bucket_encryption(Bucket="box", ServerSideEncryptionConfiguration=default(key, BucketKeyEnabled=True))
    assert s3.put_object(Bucket="box", Key="k", Body=b"x")["BucketKeyEnabled"] is True
    put = s3.put_object(Bucket="box", Key="plain", Body=b"x", ServerSideEncryption="AES256")
    assert put["ServerSideEncryption"] == "AES256"
    assert "SSEKMSKeyId" not in put
    assert "BucketKeyEnabled" not in put
    assert refused(s3.put_object, Bucket="box", Key="k", Body=b"x", SSEKMSKeyId=key) == "InvalidArgument"
    context = {"ServerSideEncryption": "aws:kms", "SSEKMSEncryptionContext": "e30="}
    assert refused(s3.put_object, Bucket="box", Key="k", Body=b"x", **context) == "NotImplemented"


def test_the_bucket_keeps_its_rule(s3, key):
    rule = default(key, BucketKeyEnabled=True)
    s3.put_bucket_encryption(Bucket="box", ServerSideEncryptionConfiguration=rule)
    assert s3.get_bucket_encryption(Bucket="box")["ServerSideEncryptionConfiguration"] == rule
    wrong = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256", "KMSMasterKeyID": key}}]}
    assert refused(s3.put_bucket_encryption, Bucket="box", ServerSideEncryptionConfiguration=wrong) == "InvalidArgument"


def test_a_key_that_cannot_be_used_stops_writing_and_reading(sealed, kms, key, clock):
    for name, size in (("small", 100), ("large", 100_000)):
        sealed.put_object(Bucket="box", Key=name, Body=body_of(size))
    kms.disable_key(KeyId=key)
    for name in ("small", "large"):
        assert refused(sealed.get_object, Bucket="box", Key=name) == "KMS.DisabledException"
    assert refused(sealed.put_object, Bucket="box", Key="k", Body=b"x") == "KMS.DisabledException"
    assert refused(sealed.put_object, Bucket="box", Key="k", Body=b"") == "KMS.DisabledException"
    assert refused(sealed.create_multipart_upload, Bucket="box", Key="k") == "KMS.DisabledException"
    assert refused(sealed.copy_object, Bucket="box", Key="k", CopySource="box/small") == "KMS.DisabledException"
    sealed.head_object(Bucket="box", Key="small")
    kms.enable_key(KeyId=key)
    assert sealed.get_object(Bucket="box", Key="large")["Body"].read() == body_of(100_000)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    assert refused(sealed.get_object, Bucket="box", Key="small") == "KMS.KMSInvalidStateException"
    clock.advance(8 * 86_400)
    assert refused(sealed.get_object, Bucket="box", Key="small") == "KMS.NotFoundException"
    assert refused(sealed.put_object, Bucket="box", Key="k", Body=b"x") == "KMS.NotFoundException"
    sealed.delete_object(Bucket="box", Key="small")


@pytest.mark.parametrize("size", [1000, 300_000])
def test_copies_take_the_encryption_of_their_bucket(sealed, kms, key, cloud, size):
    body = body_of(size)
    other = kms.create_key()["KeyMetadata"]["Arn"]
    sealed.put_object(Bucket="box", Key="k", Body=body)
    for bucket, rule, wanted in (("plain", None, None), ("same", default(key), key), ("other", default(other), other)):
        sealed.create_bucket(Bucket=bucket)
        if rule:
            sealed.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration=rule)
        copied = sealed.copy_object(Bucket=bucket, Key="copy", CopySource="box/k")
        assert copied.get("SSEKMSKeyId") == wanted
    sealed.delete_object(Bucket="box", Key="k")
    kms.disable_key(KeyId=key)
    for bucket in ("plain", "other"):
        assert sealed.get_object(Bucket=bucket, Key="copy")["Body"].read() == body
    assert refused(sealed.get_object, Bucket="same", Key="copy") == "KMS.DisabledException"
    sealed.delete_object(Bucket="plain", Key="copy")
    assert SECRET not in on_disk(cloud)
    kms.enable_key(KeyId=key)
    assert sealed.get_object(Bucket="same", Key="copy")["Body"].read() == body
    own = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": other}
    sealed.copy_object(Bucket="same", Key="copy", CopySource="same/copy", **own)
    assert sealed.head_object(Bucket="same", Key="copy")["SSEKMSKeyId"] == other


def test_multipart_uploads_are_encrypted_part_by_part(sealed, key, cloud):
    parts = [body_of(5 * 1024 * 1024 + 3), body_of(70_001)]
    sealed.put_object(Bucket="box", Key="source", Body=parts[1])
    upload = sealed.create_multipart_upload(Bucket="box", Key="k")
    assert upload["SSEKMSKeyId"] == key
    where = {"Bucket": "box", "Key": "k", "UploadId": upload["UploadId"]}
    first = sealed.upload_part(**where, PartNumber=1, Body=parts[0])
    assert first["SSEKMSKeyId"] == key
    second = sealed.upload_part_copy(**where, PartNumber=2, CopySource="box/source", CopySourceRange="bytes=1-70000")
    done = sealed.complete_multipart_upload(**where, MultipartUpload={"Parts": [
        {"PartNumber": 1, "ETag": first["ETag"]}, {"PartNumber": 2, "ETag": second["CopyPartResult"]["ETag"]},
    ]})  # fmt: skip
    assert done["SSEKMSKeyId"] == key
    whole = parts[0] + parts[1][1:]
    got = sealed.get_object(Bucket="box", Key="k")
    assert got["Body"].read() == whole
    assert got["SSEKMSKeyId"] == key
    low, high = len(parts[0]) - 10, len(parts[0]) + 9
    assert sealed.get_object(Bucket="box", Key="k", Range=f"bytes={low}-{high}")["Body"].read() == whole[low : high + 1]
    assert sealed.get_object(Bucket="box", Key="k", PartNumber=2)["Body"].read() == parts[1][1:]
    assert SECRET not in on_disk(cloud)


def test_a_blob_that_was_changed_on_disk_is_not_served(sealed, cloud):
    body = body_of(200_000)
    sealed.put_object(Bucket="box", Key="k", Body=body)

    async def spoil():
        [path] = [path for path in cloud.cloud.store.blobs.folder.rglob("*") if path.is_file()]
        data = bytearray(path.read_bytes())
        data[100_000] ^= 1
        path.write_bytes(bytes(data))

    cloud.run(spoil())
    assert sealed.get_object(Bucket="box", Key="k", Range="bytes=0-9")["Body"].read() == body[:10]
    with pytest.raises(Exception) as caught:
        sealed.get_object(Bucket="box", Key="k")["Body"].read()
    assert not isinstance(caught.value, AssertionError)


def test_templates_are_read_from_encrypted_buckets(aws, sealed, clock):
    template = {"Resources": {"Queue": {"Type": "AWS::SQS::Queue"}}, "Description": "from S3"}
    sealed.put_object(Bucket="box", Key="t.json", Body=json.dumps(template))
    cloudformation = aws("cloudformation")
    cloudformation.create_stack(StackName="s", TemplateURL="https://s3.amazonaws.com/box/t.json")
    clock.advance(30)
    assert cloudformation.describe_stacks(StackName="s")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE"


def test_a_template_gives_a_bucket_its_key(aws, clock):
    template = {
        "Resources": {
            "Key": {"Type": "AWS::KMS::Key"},
            "Bucket": {
                "Type": "AWS::S3::Bucket",
                "Properties": {
                    "BucketName": "made",
                    "BucketEncryption": {
                        "ServerSideEncryptionConfiguration": [
                            {
                                "BucketKeyEnabled": True,
                                "ServerSideEncryptionByDefault": {
                                    "SSEAlgorithm": "aws:kms",
                                    "KMSMasterKeyID": {"Fn::GetAtt": ["Key", "Arn"]},
                                },
                            }
                        ]
                    },
                },
            },
        },
        "Outputs": {"Key": {"Value": {"Fn::GetAtt": ["Key", "Arn"]}}},
    }
    cloudformation = aws("cloudformation")
    cloudformation.create_stack(StackName="s", TemplateBody=json.dumps(template))
    clock.advance(30)
    stack = cloudformation.describe_stacks(StackName="s")["Stacks"][0]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    put = aws("s3").put_object(Bucket="made", Key="k", Body=b"x")
    assert (put["SSEKMSKeyId"], put["BucketKeyEnabled"]) == (stack["Outputs"][0]["OutputValue"], True)
