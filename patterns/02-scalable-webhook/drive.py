"""Deploys the Scalable Webhook to a running cloud, calls it in a burst, and counts what arrives in PostgreSQL.

python drive.py http://127.0.0.1:4566
"""

import concurrent.futures
import contextlib
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cumulet.testing import deployment

STACK = "scalable-webhook"
PASSWORD = "a-long-password"
HERE = "drive.py"  # the name of our own connections, which are none of the service's
CALLS = 300


def deploy(endpoint: str, stack: str = STACK) -> deployment.Deployment:
    """The service, deployed."""
    template = Path(__file__).with_name("template.yaml")
    return deployment.deploy(endpoint, template, stack, DatabasePassword=PASSWORD)


@contextlib.contextmanager
def database(service: deployment.Deployment) -> Iterator[Any]:
    """A connection of our own to the service's database."""
    import pg8000.native

    connection = pg8000.native.Connection(
        user="webhook",
        password=PASSWORD,
        host=service.outputs["Host"],
        port=int(service.outputs["Port"]),
        database="webhook",
        application_name=HERE,
    )
    try:
        yield connection
    finally:
        connection.close()


def stored(connection: Any) -> int:
    """How many calls are in the database; 0 before the first."""
    if connection.run("SELECT to_regclass('calls') IS NULL")[0][0]:
        return 0
    return int(connection.run("SELECT count(*) FROM calls")[0][0])


def connections(connection: Any) -> int:
    """How many connections the service has."""
    sql = (
        f"SELECT count(*) FROM pg_stat_activity WHERE datname = 'webhook' AND application_name <> '{HERE}'"
        " AND backend_type = 'client backend'"  # the database's own processes, as those that vacuum, are no connections
    )
    return int(connection.run(sql)[0][0])


def burst(service: deployment.Deployment, count: int) -> int:
    """Call the webhook from many clients at once; how many calls were accepted."""

    def call(number: int) -> bool:
        return service.request("POST", "/hooks", {"kind": "order", "number": number})[0] == 202

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        return sum(pool.map(call, range(count)))


def main(endpoint: str) -> None:
    service = deploy(endpoint)
    with database(service) as connection:
        before, began = stored(connection), time.perf_counter()
        accepted = burst(service, CALLS)
        print(f"  {accepted} calls accepted in {time.perf_counter() - began:.2f} s")
        if accepted < CALLS:
            raise SystemExit(f"expected {CALLS}")
        most, deadline = connections(connection), time.monotonic() + 120
        while stored(connection) < before + accepted:
            most = max(most, connections(connection))
            if time.monotonic() > deadline:
                raise SystemExit(
                    f"only {stored(connection) - before} are stored; cumulet logs {service.stack} may say why"
                )
            time.sleep(0.02)
        print(
            f"  {stored(connection) - before} stored after {time.perf_counter() - began:.2f} s, connections at most: {most}"
        )
    if most > 1:
        raise SystemExit("expected one connection")


if __name__ == "__main__":
    main(sys.argv[1])
