"""DynamoDB's exports to and imports from S3."""

from __future__ import annotations

import gzip
import hashlib
import json
from base64 import b64encode
from typing import Any

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def db(aws: Any) -> Any:
    return aws("dynamodb")


@pytest.fixture
def s3(aws: Any) -> Any:
    made = aws("s3")
    made.create_bucket(Bucket="data")
    return made


KEYS: dict[str, Any] = {
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "N"}],
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
}


@pytest.fixture
def table(db: Any, clock: Any) -> str:
    made = db.create_table(TableName="items", **KEYS)["TableDescription"]
    clock.quiet()
    db.update_continuous_backups(
        TableName="items", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True}
    )
    return str(made["TableArn"])


def failure(call: Any, **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"], caught.value.response["Error"]["Message"]


def body(s3: Any, key: str) -> bytes:
    return bytes(s3.get_object(Bucket="data", Key=key)["Body"].read())


def test_an_export_writes_files_and_manifests_of_a_moment(db: Any, s3: Any, clock: Any, table: str) -> None:
    for n in range(3):
        db.put_item(TableName="items", Item={"id": {"N": str(n)}, "b": {"B": b"\x00\x01"}, "s": {"SS": ["x"]}})
    at = clock.now()
    clock.advance(5)
    db.put_item(TableName="items", Item={"id": {"N": "9"}})
    started = db.export_table_to_point_in_time(
        TableArn=table, S3Bucket="data", S3Prefix="out/", ExportTime=at, ClientToken="t"
    )
    arn = started["ExportDescription"]["ExportArn"]
    assert started["ExportDescription"]["ExportStatus"] == "IN_PROGRESS"
    again = db.export_table_to_point_in_time(
        TableArn=table, S3Bucket="data", S3Prefix="out/", ExportTime=at, ClientToken="t"
    )
    assert again["ExportDescription"]["ExportArn"] == arn
    assert failure(db.export_table_to_point_in_time, TableArn=table, S3Bucket="other", ClientToken="t")[0] == (
        "ExportConflictException"
    )
    clock.quiet()
    done = db.describe_export(ExportArn=arn)["ExportDescription"]
    assert (done["ExportStatus"], done["ItemCount"]) == ("COMPLETED", 3)
    folder = f"out/AWSDynamoDB/{arn.rpartition('/')[2]}"
    assert done["ExportManifest"] == f"{folder}/manifest-summary.json"
    summary = json.loads(body(s3, done["ExportManifest"]))
    assert (summary["itemCount"], summary["outputFormat"], summary["exportArn"]) == (3, "DYNAMODB_JSON", arn)
    assert b64encode(hashlib.md5(body(s3, done["ExportManifest"])).digest()) == body(
        s3, f"{folder}/manifest-summary.md5"
    )
    files = [json.loads(line) for line in body(s3, summary["manifestFilesS3Key"]).splitlines()]
    items = []
    for file in files:
        data = body(s3, file["dataFileS3Key"])
        assert b64encode(hashlib.md5(data).digest()).decode() == file["md5Checksum"]
        lines = gzip.decompress(data).splitlines()
        assert len(lines) == file["itemCount"]
        items += [json.loads(line)["Item"] for line in lines]
    assert sorted(item["id"]["N"] for item in items) == ["0", "1", "2"]
    assert items[0]["b"] == {"B": "AAE="}
    assert body(s3, f"{folder}/_started") == b""


def test_an_exported_table_can_be_imported(db: Any, s3: Any, clock: Any, table: str) -> None:
    """More items than one file and one step hold."""
    for start in range(0, 2100, 25):
        db.batch_write_item(
            RequestItems={"items": [{"PutRequest": {"Item": {"id": {"N": str(n)}, "v": {"S": "ä"}}}} for n in range(start, start + 25)]}
        )  # fmt: skip
    arn = db.export_table_to_point_in_time(TableArn=table, S3Bucket="data")["ExportDescription"]["ExportArn"]
    clock.quiet()
    files = s3.list_objects_v2(Bucket="data", Prefix=f"AWSDynamoDB/{arn.rpartition('/')[2]}/data/")["Contents"]
    assert len(files) == 2
    started = db.import_table(
        S3BucketSource={"S3Bucket": "data", "S3KeyPrefix": f"AWSDynamoDB/{arn.rpartition('/')[2]}/data/"},
        InputFormat="DYNAMODB_JSON",
        InputCompressionType="GZIP",
        TableCreationParameters={"TableName": "copy", **KEYS},
    )["ImportTableDescription"]
    assert started["ImportStatus"] == "IN_PROGRESS"
    clock.quiet()
    done = db.describe_import(ImportArn=started["ImportArn"])["ImportTableDescription"]
    assert (done["ImportStatus"], done["ImportedItemCount"], done["ErrorCount"]) == ("COMPLETED", 2100, 0)
    assert db.describe_table(TableName="copy")["Table"]["TableStatus"] == "ACTIVE"
    pages = db.get_paginator("scan").paginate(TableName="copy")
    found = {item["id"]["N"]: item["v"]["S"] for page in pages for item in page["Items"]}
    assert found == {str(n): "ä" for n in range(2100)}


def test_csv_takes_its_names_from_the_first_line_or_the_header_list(db: Any, s3: Any, clock: Any) -> None:
    s3.put_object(Bucket="data", Key="in/1.csv", Body=b'id,name\n1,"a, b"\n2,c\nx,not a number\n3\n\n4,"two\nlines"\n')
    s3.put_object(Bucket="data", Key="in/2.csv", Body=b"id,name\r\n5,e\r\n")
    s3.put_object(Bucket="data", Key="other.csv", Body=b"7;g\n")
    spec = {"TableName": "first", **KEYS, "GlobalSecondaryIndexes": [
        {"IndexName": "names", "KeySchema": [{"AttributeName": "name", "KeyType": "HASH"}], "Projection": {"ProjectionType": "ALL"}}
    ]}  # fmt: skip
    spec["AttributeDefinitions"] = [*KEYS["AttributeDefinitions"], {"AttributeName": "name", "AttributeType": "S"}]
    arn = db.import_table(
        S3BucketSource={"S3Bucket": "data", "S3KeyPrefix": "in/"}, InputFormat="CSV", TableCreationParameters=spec
    )["ImportTableDescription"]["ImportArn"]
    clock.quiet()
    done = db.describe_import(ImportArn=arn)["ImportTableDescription"]
    assert (done["ProcessedItemCount"], done["ImportedItemCount"], done["ErrorCount"]) == (6, 4, 2)
    found = {item["id"]["N"]: item["name"]["S"] for item in db.scan(TableName="first")["Items"]}
    assert found == {"1": "a, b", "2": "c", "4": "two\nlines", "5": "e"}
    index = db.query(TableName="first", IndexName="names", KeyConditionExpression="#n = :c", ExpressionAttributeNames={"#n": "name"},
                     ExpressionAttributeValues={":c": {"S": "c"}})  # fmt: skip
    assert index["Count"] == 1
    db.import_table(
        S3BucketSource={"S3Bucket": "data", "S3KeyPrefix": "other"},
        InputFormat="CSV",
        InputFormatOptions={"Csv": {"Delimiter": ";", "HeaderList": ["id", "letter"]}},
        TableCreationParameters={"TableName": "second", **KEYS},
    )
    clock.quiet()
    assert db.scan(TableName="second")["Items"] == [{"id": {"N": "7"}, "letter": {"S": "g"}}]
    page = db.list_imports(PageSize=1)
    assert len(page["ImportSummaryList"]) == 1
    rest = db.list_imports(NextToken=page["NextToken"])
    assert [entry["ImportStatus"] for entry in rest["ImportSummaryList"]] == ["COMPLETED"]


def test_what_goes_wrong_in_s3_fails_the_job_by_name(db: Any, s3: Any, clock: Any, table: str) -> None:
    export = db.export_table_to_point_in_time(TableArn=table, S3Bucket="missing-bucket")["ExportDescription"][
        "ExportArn"
    ]
    job = db.import_table(
        S3BucketSource={"S3Bucket": "missing-bucket"},
        InputFormat="DYNAMODB_JSON",
        TableCreationParameters={"TableName": "copy", **KEYS},
        ClientToken="t",
    )["ImportTableDescription"]["ImportArn"]
    clock.quiet()
    failed = db.describe_export(ExportArn=export)["ExportDescription"]
    assert (failed["ExportStatus"], failed["FailureCode"]) == ("FAILED", "S3NoSuchBucket")
    assert db.describe_import(ImportArn=job)["ImportTableDescription"]["FailureCode"] == "NoSuchBucket"
    assert "copy" not in db.list_tables()["TableNames"]
    assert failure(db.import_table, S3BucketSource={"S3Bucket": "another-bucket"}, InputFormat="DYNAMODB_JSON", ClientToken="t",
                   TableCreationParameters={"TableName": "copy", **KEYS})[0] == "ImportConflictException"  # fmt: skip
    assert failure(db.describe_export, ExportArn=export + "0")[0] == "ExportNotFoundException"
    assert failure(db.describe_import, ImportArn=job + "0")[0] == "ImportNotFoundException"


def test_an_export_needs_recovery_and_a_time_within_it(db: Any, s3: Any, clock: Any, table: str) -> None:
    late = failure(db.export_table_to_point_in_time, TableArn=table, S3Bucket="data", ExportTime=clock.now() + 60)
    assert late[0] == "InvalidExportTimeException"
    db.update_continuous_backups(
        TableName="items", PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": False}
    )
    assert failure(db.export_table_to_point_in_time, TableArn=table, S3Bucket="data")[0] == (
        "PointInTimeRecoveryUnavailableException"
    )
    assert (
        failure(db.export_table_to_point_in_time, TableArn=table + "x", S3Bucket="data")[0] == "TableNotFoundException"
    )


@pytest.mark.parametrize(
    "more",
    [
        {"ExportFormat": "ION"},
        {"ExportType": "INCREMENTAL_EXPORT"},
        {"S3SseAlgorithm": "KMS"},
        {"S3SseKmsKeyId": "key"},
    ],
)
def test_exports_that_are_not_there_are_refused_by_name(db: Any, table: str, more: Any) -> None:
    code, message = failure(db.export_table_to_point_in_time, TableArn=table, S3Bucket="data", **more)
    assert code == "NotImplemented"
    assert next(iter(more)) in message


@pytest.mark.parametrize("more", [{"InputFormat": "ION"}, {"InputCompressionType": "ZSTD"}])
def test_imports_that_are_not_there_are_refused_by_name(db: Any, more: Any) -> None:
    request = {
        "InputFormat": "CSV",
        "S3BucketSource": {"S3Bucket": "data"},
        "TableCreationParameters": {"TableName": "copy", **KEYS},
        **more,
    }
    code, message = failure(db.import_table, **request)
    assert code == "NotImplemented"
    assert next(iter(more)) in message


def test_exports_are_listed_in_pages(db: Any, s3: Any, clock: Any, table: str) -> None:
    arns = []
    for _ in range(3):
        arns.append(db.export_table_to_point_in_time(TableArn=table, S3Bucket="data")["ExportDescription"]["ExportArn"])
        clock.advance(1)
    page = db.list_exports(TableArn=table, MaxResults=2)
    rest = db.list_exports(TableArn=table, NextToken=page["NextToken"])
    assert [entry["ExportArn"] for entry in page["ExportSummaries"] + rest["ExportSummaries"]] == arns
    assert db.list_exports(TableArn=table + "x")["ExportSummaries"] == []
