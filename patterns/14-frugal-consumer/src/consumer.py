"""Writes facts into PostgreSQL: a batch in one transaction over the one connection of this environment, each fact once."""

import contextlib
import json
import os

import pg8000.native

INSERT = """INSERT INTO facts (message, source, customer, cents) VALUES (:message, :source, :customer, :cents)
            ON CONFLICT (message) DO NOTHING"""
TABLE = """CREATE TABLE IF NOT EXISTS facts
           (message text PRIMARY KEY, source text NOT NULL, customer text NOT NULL, cents bigint NOT NULL)"""
kept = {}


def database():
    """The environment's connection, opened when it is needed first."""
    if "connection" not in kept:
        kept["connection"] = pg8000.native.Connection(
            user="consumer",
            password=os.environ["PASSWORD"],
            host=os.environ["HOST"],
            port=int(os.environ["PORT"]),
            database="facts",
        )
        with_lock = "SELECT pg_advisory_lock(1)"  # two environments may begin at once
        kept["connection"].run(with_lock)
        kept["connection"].run(TABLE)
        kept["connection"].run("SELECT pg_advisory_unlock(1)")
    return kept["connection"]


def handler(event, context):
    rows, failed = [], []
    for record in event["Records"]:
        try:
            fact = json.loads(record["body"])
            rows.append(
                {
                    "message": record["messageId"],
                    "source": fact["source"],
                    "customer": fact["customer"],
                    "cents": int(fact["cents"]),
                }
            )
        except (ValueError, KeyError, TypeError) as error:
            print(f"bad fact {record['messageId']}: {error!r}")
            failed.append({"itemIdentifier": record["messageId"]})
    if rows:
        store(rows)
    return {"batchItemFailures": failed}


def store(rows):
    try:
        connection = database()
        connection.run("BEGIN")
        for row in rows:
            connection.run(INSERT, **row)
        connection.run("COMMIT")
    except Exception:
        hang_up()  # whatever broke, the next batch begins with a new connection
        raise


def hang_up():
    """Close the connection: one that is only forgotten would still be one of the database's few."""
    connection = kept.pop("connection", None)
    if connection is not None:
        with contextlib.suppress(Exception):  # it may be broken already
            connection.close()
