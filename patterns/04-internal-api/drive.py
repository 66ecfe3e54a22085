"""Deploys the Internal API to a running cloud and calls it from outside and from another function.

python drive.py http://127.0.0.1:4566
"""

import json
import sys
from pathlib import Path

from cumulet.testing import deployment

STACK = "internal-api"


def deploy(endpoint: str, stack: str = STACK) -> deployment.Deployment:
    """The service, deployed."""
    return deployment.deploy(endpoint, Path(__file__).with_name("template.yaml"), stack)


def drive(service: deployment.Deployment) -> None:
    """Set prices, then check out: the reply of one function is the result of the other."""
    for sku, cents in (("apple", 40), ("bread", 350)):
        print(f"  Pricing   set {sku}: {service.invoke('Pricing', {'operation': 'set', 'sku': sku, 'cents': cents})}")
    order = {"lines": [{"sku": "apple", "count": 3}, {"sku": "bread", "count": 1}]}
    answer = service.invoke("Checkout", order)
    print(f"  Checkout  {json.dumps(answer)}")
    if answer["total_cents"] != 470:
        raise SystemExit("expected a total of 470")
    try:
        service.invoke("Checkout", {"lines": [{"sku": "cloud", "count": 1}]})
    except deployment.FunctionFailed as failure:
        error = json.loads(str(failure))
        print(f"  Checkout  of an unknown article: {error['errorType']}: {error['errorMessage']}")
    else:
        raise SystemExit("an unknown article was sold")


if __name__ == "__main__":
    drive(deploy(sys.argv[1]))
