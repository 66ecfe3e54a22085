"""A function reaches its database by TCP on loopback, with the driver in its package."""

import importlib.metadata
import io
import json
import zipfile

import pg8000.dbapi

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
