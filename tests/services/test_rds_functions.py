"""A function reaches its database by TCP on loopback, with the driver in its package."""

import contextlib
import importlib.metadata
import io
import json
import os
import signal
import socket
import zipfile

import pg8000.dbapi
import pytest

from .test_rds_crash import available, create, engines_of, until

CODE = """
import os
import pg8000.dbapi

connection = pg8000.dbapi.connect(
    user="shop", password=os.environ["PASSWORD"], host=os.environ["HOST"], port=int(os.environ["PORT"]), database="orders"
)

def handler(event, context):
    cursor = connection.cursor()
    cursor.execute("INSERT INTO orders (item) VALUES (%s) RETURNING n", (event["item"],))
    number = cursor.fetchone()[0]
    connection.commit()
    return {"number": number}
"""
PASSWORD = "horse-battery#1"


def package():
    """The function's code and its driver, as `pip install -t` would put them."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr(zipfile.ZipInfo("index.py"), CODE)
        for name in ("pg8000", "scramp", "asn1crypto", "python-dateutil", "six"):
            for file in importlib.metadata.files(name):
                if ".." not in file.parts and file.suffix != ".pyc":
                    archive.write(file.locate(), str(file))
    return sink.getvalue()


def test_a_function_inserts_rows_and_keeps_its_connection(aws, clock):
    rds = aws("rds")
    rds.create_db_instance(
        DBInstanceIdentifier="shop", DBInstanceClass="db.t4g.micro", Engine="postgres", AllocatedStorage=20,
        MasterUsername="shop", MasterUserPassword=PASSWORD, DBName="orders",
    )  # fmt: skip
    clock.quiet()
    endpoint = rds.describe_db_instances(DBInstanceIdentifier="shop")["DBInstances"][0]["Endpoint"]
    connection = pg8000.dbapi.connect(
        user="shop", password=PASSWORD, host=endpoint["Address"], port=endpoint["Port"], database="orders"
    )
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE orders (n serial PRIMARY KEY, item text)")
    functions = aws("lambda")
    functions.create_function(
        FunctionName="order", Runtime="python3.12", Role="arn:aws:iam::000000000000:role/order", Handler="index.handler",
        Code={"ZipFile": package()}, Timeout=20,
        Environment={
            "Variables": {"HOST": endpoint["Address"], "PORT": str(endpoint["Port"]), "PASSWORD": PASSWORD}
        },
    )  # fmt: skip
    for number, item in enumerate(["bread", "butter"], 1):
        answer = functions.invoke(FunctionName="order", Payload=json.dumps({"item": item}))
        assert json.load(answer["Payload"]) == {"number": number}
    cursor.execute("SELECT item FROM orders ORDER BY n")
    assert cursor.fetchall() == (["bread"], ["butter"])
    cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE usename = 'shop'")
    assert cursor.fetchall() == ([2],)  # this test's connection, and one that both invocations used
    connection.close()


IMPATIENT = """
import os, socket, time
import boto3

def handler(event, context):
    socket.create_connection((os.environ["HOST"], int(os.environ["PORT"])), 10).close()
    times = boto3.client("dynamodb").update_item(
        TableName="runs", Key={"k": {"S": "runs"}}, UpdateExpression="ADD n :one",
        ExpressionAttributeValues={":one": {"N": "1"}}, ReturnValues="ALL_NEW",
    )["Attributes"]["n"]["N"]
    while times == "1":
        time.sleep(3600)
    return "connected"
"""


def taken(port):
    """The port, taken from the engine, with nobody listening; None while others have it."""
    place = socket.socket()
    try:
        place.bind(("127.0.0.1", port))
    except OSError:
        place.close()
        return None
    return place


@pytest.mark.crash
def test_what_runs_after_a_crash_finds_its_database_again(server_process):
    """A3: an event that was accepted does not fail because its function is back sooner than the engine."""
    server = server_process().start()
    create(server)
    instance = available(server)
    sqs, functions, dynamodb = server.client("sqs"), server.client("lambda"), server.client("dynamodb")
    dynamodb.create_table(
        TableName="runs", KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}], BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
    )  # fmt: skip
    queues = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("good", "bad")}
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr(zipfile.ZipInfo("index.py"), IMPATIENT)
    functions.create_function(
        FunctionName="impatient", Runtime="python3.12", Role="arn:aws:iam::000000000000:role/order", Timeout=900,
        Handler="index.handler", Code={"ZipFile": sink.getvalue()},
        Environment={"Variables": {"HOST": "127.0.0.1", "PORT": str(instance["Endpoint"]["Port"])}},
    )  # fmt: skip
    arn = "arn:aws:sqs:us-east-1:000000000000:"
    functions.put_function_event_invoke_config(
        FunctionName="impatient", MaximumRetryAttempts=0,
        DestinationConfig={"OnSuccess": {"Destination": f"{arn}good"}, "OnFailure": {"Destination": f"{arn}bad"}},
    )  # fmt: skip
    functions.invoke(FunctionName="impatient", InvocationType="Event")
    until(lambda: "Item" in dynamodb.get_item(TableName="runs", Key={"k": {"S": "runs"}}, ConsistentRead=True))
    for pid in (server.process.pid, *engines_of(server.folder)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    server.process.wait()
    with until(lambda: taken(instance["Endpoint"]["Port"])):
        server.start()
        rds = server.client("rds")
        until(lambda: rds.describe_db_instances()["DBInstances"][0].get("StatusInfos"))  # it cannot start yet

    def report():
        for name, url in queues.items():
            for message in sqs.receive_message(QueueUrl=url).get("Messages", []):
                return name, json.loads(message["Body"])
        return None

    name, body = until(report)
    assert (name, body["responsePayload"]) == ("good", "connected")
