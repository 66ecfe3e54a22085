"""Deploys Eventually Consistent to a running cloud, changes profiles, and measures how far analytics is behind.

python drive.py http://127.0.0.1:4566
"""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cumulet.testing import deployment

STACK = "eventually-consistent"
PASSWORD = "a-long-password"
HERE = "drive.py"  # the name of our own connections, which are none of the service's
CHANGES = 200
WIDE = "ALTER TABLE people ALTER COLUMN name TYPE varchar(200)"
NARROW = "ALTER TABLE people ALTER COLUMN name TYPE varchar(60)"  # as it was made


def deploy(endpoint: str, stack: str = STACK, **parameters: str) -> deployment.Deployment:
    """The two services, deployed."""
    template = Path(__file__).with_name("template.yaml")
    return deployment.deploy(endpoint, template, stack, DatabasePassword=PASSWORD, **parameters)


@contextlib.contextmanager
def database(service: deployment.Deployment) -> Iterator[Any]:
    """A connection of our own to analytics' database."""
    import pg8000.native

    connection = pg8000.native.Connection(
        user="analytics",
        password=PASSWORD,
        host=service.outputs["Host"],
        port=int(service.outputs["Port"]),
        database="analytics",
        application_name=HERE,
    )
    try:
        yield connection
    finally:
        connection.close()


def people(connection: Any) -> dict[str, tuple[str, int]]:
    """Id -> (name, last_updated), as analytics has them; nobody before the first change."""
    if connection.run("SELECT to_regclass('people') IS NULL")[0][0]:
        return {}
    return {
        row[0]: (row[1], row[2])
        for row in connection.run("SELECT id, name, last_updated FROM people WHERE NOT deleted")
    }


def changes(connection: Any) -> dict[str, int]:
    """Id -> how many of its changes were applied, tombstones with them."""
    if connection.run("SELECT to_regclass('people') IS NULL")[0][0]:
        return {}
    return {row[0]: row[1] for row in connection.run("SELECT id, changes FROM people")}


def connections(connection: Any) -> int:
    """How many connections the service has."""
    sql = (
        f"SELECT count(*) FROM pg_stat_activity WHERE datname = 'analytics' AND application_name <> '{HERE}'"
        " AND backend_type = 'client backend'"  # the database's own processes, as those that vacuum, are no connections
    )
    return int(connection.run(sql)[0][0])


def profiles(service: deployment.Deployment) -> dict[str, tuple[str, int]]:
    """Id -> (name, last_updated), as the Profiles table has them."""
    found: dict[str, tuple[str, int]] = {}
    pages = (
        service.client("dynamodb")
        .get_paginator("scan")
        .paginate(TableName=service.outputs["Profiles"], ConsistentRead=True)
    )
    for page in pages:
        found |= {row["id"]["S"]: (row["name"]["S"], int(row["last_updated"]["N"])) for row in page["Items"]}
    return found


def rename(service: deployment.Deployment, profile: str, name: str) -> int:
    """Give a profile a name; the `last_updated` of the change."""
    status, answer = service.request("PUT", f"/profiles/{profile}", {"name": name})
    if status != 200:
        raise RuntimeError(f"{status} {answer}")
    return int(answer["last_updated"])


def remove(service: deployment.Deployment, profile: str) -> None:
    status, answer = service.request("DELETE", f"/profiles/{profile}")
    if status != 204:
        raise RuntimeError(f"{status} {answer}")


def waiting(service: deployment.Deployment) -> int:
    """How many ranges of records are set aside."""
    found = service.client("sqs").get_queue_attributes(QueueUrl=service.outputs["Invalid"], AttributeNames=["All"])
    return sum(int(count) for name, count in found["Attributes"].items() if name.startswith("ApproximateNumberOf"))


def lags(service: deployment.Deployment, connection: Any, count: int) -> list[float]:
    """Seconds from the answer of each of `count` changes, made one by one, until analytics has it; ascending."""
    rename(service, "lag-0", "the first change makes the relation")
    until(lambda: "lag-0" in people(connection))
    took, sql = [], "SELECT count(*) FROM people WHERE id = :id AND last_updated = :at"
    for number in range(count):
        profile = f"lag-{number % 20}"
        at = rename(service, profile, f"name {number}")
        began = time.perf_counter()
        until(lambda profile=profile, at=at: connection.run(sql, id=profile, at=at)[0][0] == 1)
        took.append(time.perf_counter() - began)
    return sorted(took)


def until(check: Callable[[], bool], seconds: float = 180) -> None:
    """Ask until it is so. Raises: SystemExit."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            raise SystemExit("analytics does not come to what was expected")
        time.sleep(0.001)


def begin(service: deployment.Deployment, connection: Any) -> dict[str, int]:
    """How often each profile was changed before; what an earlier run mended is as it was."""
    before = changes(connection)
    if before:
        service.request("DELETE", "/profiles/eve")
        until(lambda: people(connection) == profiles(service))
        connection.run(NARROW)
    return before


def main(endpoint: str) -> None:
    service = deploy(endpoint, Retries="1")
    with database(service) as connection:
        before = begin(service, connection)
    rename(service, "ada", "Ada Byron")
    rename(service, "ada", "Ada Lovelace")
    rename(service, "bob", "Bob")
    remove(service, "bob")
    with database(service) as connection:

        def applied() -> bool:
            now = changes(connection)
            two = all(now.get(name, 0) == before.get(name, 0) + 2 for name in ("ada", "bob"))
            return two and people(connection) == profiles(service)

        until(applied)
        print(f"  analytics knows {people(connection)['ada'][0]}, and that bob is gone")
        took = lags(service, connection, CHANGES)
        print(
            f"  {len(took)} changes, one by one: analytics is behind by {took[len(took) // 2] * 1000:.0f} ms (median), "
            f"{took[len(took) * 99 // 100] * 1000:.0f} ms (p99)"
        )
        kept = waiting(service)  # of a run that was broken off
        rename(service, "eve", "E" * 100)
        until(lambda: waiting(service) == kept + 1)
        print("  a name that is too long for analytics is set aside")
        connection.run(WIDE)
        print(f"  mended and replayed: {service.invoke('Replay', {})}")
        if people(connection) != profiles(service):
            raise SystemExit("analytics is not what the profiles are")
        print(f"  {len(people(connection))} profiles, the same on both sides")


if __name__ == "__main__":
    main(sys.argv[1])
