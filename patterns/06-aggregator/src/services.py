"""The three microservices. Each could be a stack of its own; the aggregator knows their functions' names alone."""

import json
import os
import urllib.request


class CarrierUnavailable(Exception):
    """The carrier's API does not answer as it should."""


def profile(event, context):
    return {"name": f"Customer {event['customer']}", "since": 2018}


def orders(event, context):
    count = sum(map(ord, event["customer"])) % 4
    return {"open": [f"{event['customer']}-{number}" for number in range(count)]}


def shipping(event, context):
    """What the carrier says: somebody else's API, which may fail or take its time."""
    try:
        with urllib.request.urlopen(
            os.environ["CARRIER_URL"], timeout=float(os.environ["CARRIER_TIMEOUT_S"])
        ) as answer:
            return {"parcels": json.load(answer)["parcels"]}
    except (OSError, ValueError, KeyError) as error:
        raise CarrierUnavailable(f"{type(error).__name__}: {error}") from error
