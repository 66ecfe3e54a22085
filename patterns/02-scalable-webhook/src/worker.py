"""Writes webhook calls into PostgreSQL over the one connection of its environment, each message once."""

import contextlib
import json
import os

import pg8000.native


class Connection:
    """Opened when it is needed first, kept as long as the environment lives, opened again when it broke."""

    def __init__(self):
        self._open = None

    def run(self, sql, **values):
        if self._open is None:
            self._open = pg8000.native.Connection(
                user="webhook",
                password=os.environ["PASSWORD"],
                host=os.environ["HOST"],
                port=int(os.environ["PORT"]),
                database="webhook",
            )
            self._open.run("CREATE TABLE IF NOT EXISTS calls (message text PRIMARY KEY, kind text NOT NULL, body text)")
        try:
            return self._open.run(sql, **values)
        except pg8000.exceptions.DatabaseError:
            raise
        except Exception:
            self.close()
            raise

    def close(self):
        """Hang up: a connection that is only forgotten would still be one of the database's few."""
        connection, self._open = self._open, None
        with contextlib.suppress(Exception):  # it may be broken already
            connection.close()


database = Connection()


def handler(event, context):
    failed = []
    for record in event["Records"]:
        try:
            store(record)
        except (ValueError, KeyError) as error:  # the call is bad, not the database: it goes back alone
            print(f"bad call {record['messageId']}: {error!r}")
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def store(record):
    call = json.loads(record["body"])
    database.run(
        "INSERT INTO calls (message, kind, body) VALUES (:message, :kind, :body) ON CONFLICT (message) DO NOTHING",
        message=record["messageId"],
        kind=call["kind"],
        body=record["body"],
    )
