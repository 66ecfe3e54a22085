"""Deploys the Frugal Consumer to a running cloud, has three producers post to it, and counts what is in PostgreSQL.

python drive.py http://127.0.0.1:4566
"""

import concurrent.futures
import contextlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cumulet.testing import deployment

STACK = "frugal-consumer"
PASSWORD = "a-long-password"
HERE = "drive.py"  # the name of our own connections, which are none of the service's


def deploy(endpoint: str, stack: str = STACK) -> deployment.Deployment:
    """The service, deployed."""
    template = Path(__file__).with_name("template.yaml")
    return deployment.deploy(endpoint, template, stack, DatabasePassword=PASSWORD)


@contextlib.contextmanager
def database(service: deployment.Deployment) -> Iterator[Any]:
    """A connection of our own to the service's database."""
    import pg8000.native

    connection = pg8000.native.Connection(
        user="consumer",
        password=PASSWORD,
        host=service.outputs["Host"],
        port=int(service.outputs["Port"]),
        database="facts",
        application_name=HERE,
    )
    try:
        yield connection
    finally:
        connection.close()


def stored(connection: Any) -> dict[str, int]:
    """Source -> how many of its facts are in the database."""
    if connection.run("SELECT to_regclass('facts') IS NULL")[0][0]:
        return {}
    return {source: int(count) for source, count in connection.run("SELECT source, count(*) FROM facts GROUP BY 1")}


def connections(connection: Any) -> int:
    """How many connections the service has."""
    sql = (
        f"SELECT count(*) FROM pg_stat_activity WHERE datname = 'facts' AND application_name <> '{HERE}'"
        " AND backend_type = 'client backend'"  # the database's own processes, as those that vacuum, are no connections
    )
    return int(connection.run(sql)[0][0])


def produce(service: deployment.Deployment, count: int) -> None:
    """Three producers at once, `count` facts each: a function per fact, a function with batches, and a service outside."""
    sqs = service.client("sqs")

    def outside(number: int) -> None:
        fact = {"source": "outside", "customer": f"c{number}", "cents": number}
        sqs.send_message(QueueUrl=service.outputs["Facts"], MessageBody=json.dumps(fact))

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        payments = [{"customer": f"c{number}", "cents": 100} for number in range(count)]
        work = [pool.submit(service.invoke, "Payments", {"payments": payments})]
        work += [pool.submit(service.invoke, "Signups", {"customer": f"c{number}"}) for number in range(count)]
        work += [pool.submit(outside, number) for number in range(count)]
        for each in work:
            each.result()


def main(endpoint: str) -> None:
    service = deploy(endpoint)
    with database(service) as connection:
        before = sum(stored(connection).values())
        produce(service, 100)
        print("  three producers have posted 100 facts each")
        most, deadline = connections(connection), time.monotonic() + 120
        while sum(stored(connection).values()) < before + 300:
            most = max(most, connections(connection))
            if time.monotonic() > deadline:
                raise SystemExit(f"only {stored(connection)} is stored; cumulet logs {service.stack} may say why")
            time.sleep(0.02)
        print(f"  stored: {stored(connection)}, connections at most: {most}")
    if most > 2:
        raise SystemExit("expected two connections at most")


if __name__ == "__main__":
    main(sys.argv[1])
