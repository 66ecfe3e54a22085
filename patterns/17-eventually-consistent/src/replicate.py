"""User Analytics: applies the changes of profiles to its relation `people`, a batch in one transaction; the newest change wins.

A change is applied only if its `last_updated` is greater than the row's, so what comes twice or late changes nothing. A deleted profile
stays as a row without a name, a tombstone with the `last_updated` that it was deleted at; without it a late change would bring the profile back.
`changes` counts what was applied.
"""

import contextlib
import os

import pg8000.native

TABLE = """CREATE TABLE IF NOT EXISTS people (
               id text PRIMARY KEY,
               name varchar(60),
               last_updated bigint NOT NULL,
               deleted boolean NOT NULL,
               changes integer NOT NULL DEFAULT 1,
               CHECK (deleted = (name IS NULL)))"""
APPLY = """INSERT INTO people (id, name, last_updated, deleted) VALUES (:id, :name, :last_updated, :deleted)
           ON CONFLICT (id) DO UPDATE
           SET name = excluded.name, last_updated = excluded.last_updated, deleted = excluded.deleted, changes = people.changes + 1
           WHERE (people.last_updated, people.deleted) < (excluded.last_updated, excluded.deleted)"""
kept = {}


def database():
    """The environment's connection, opened when it is needed first."""
    if "connection" not in kept:
        kept["connection"] = pg8000.native.Connection(
            user="analytics",
            password=os.environ["PASSWORD"],
            host=os.environ["HOST"],
            port=int(os.environ["PORT"]),
            database="analytics",
            timeout=5,
        )
        kept["connection"].run("SELECT pg_advisory_lock(17)")  # two environments may begin at once
        kept["connection"].run(TABLE)
        kept["connection"].run("SELECT pg_advisory_unlock(17)")
    return kept["connection"]


def hang_up():
    """Close the connection; one that is only forgotten would still be one of the database's few."""
    connection = kept.pop("connection", None)
    if connection is not None:
        with contextlib.suppress(Exception):  # it may be broken already
            connection.close()


def handler(event, context):
    rows = [row_of(record) for record in event["Records"]]
    try:
        applied = store(rows)
    except Exception:
        hang_up()  # whatever broke, the next batch begins with a new connection
        raise
    return {"applied": applied, "outdated": len(rows) - applied}


def row_of(record):
    """What a record of the stream makes of its profile. A deletion is as new as the profile that it deleted, and wins over it."""
    deleted = record["eventName"] == "REMOVE"
    image = record["dynamodb"]["OldImage" if deleted else "NewImage"]
    return {
        "id": image["id"]["S"],
        "name": None if deleted else image["name"]["S"],
        "last_updated": int(image["last_updated"]["N"]),
        "deleted": deleted,
    }


def store(rows):
    """How many of the rows were newer than what was there. A batch is applied whole or not at all."""
    connection, applied = database(), 0
    connection.run("BEGIN")
    for row in rows:
        connection.run(APPLY, **row)
        applied += connection.row_count
    connection.run("COMMIT")
    return applied
