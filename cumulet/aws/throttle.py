"""Token buckets on the cloud's clock, as API Gateway throttles: `rate` tokens a second flow into a bucket of `burst`.

Source: API Gateway developer guide, "Throttle requests to your REST APIs for better throughput"; quotas: 10,000 requests a
second for each account and region over all its APIs, with a burst of 5,000 (read 2026-11).
"""

from __future__ import annotations

from typing import Any

ACCOUNT_RATE_PER_S, ACCOUNT_BURST = 10_000.0, 5_000
_KEPT = 20_000
Buckets = dict[tuple[str, ...], tuple[float, float]]  # key -> (tokens, when they were counted)


def take(buckets: Buckets, key: tuple[str, ...], rate_per_s: float, burst: float, now: float) -> bool:
    """Take one token; False when the bucket is empty. A bucket starts full; of too many the oldest is forgotten."""
    known = buckets.get(key)
    if known is None:
        if len(buckets) >= _KEPT:
            del buckets[next(iter(buckets))]
        tokens = float(burst)
    else:
        tokens = min(float(burst), known[0] + max(0.0, now - known[1]) * rate_per_s)  # clocks go back, too
    there = tokens >= 1
    buckets[key] = (tokens - 1 if there else tokens, now)
    return there


def take_of_account(volatile: dict[str, Any], account: str, region: str, now: float) -> bool:
    """Take one token of the bucket that all APIs of an account and region share, REST and HTTP."""
    buckets: Buckets = volatile.setdefault("apigateway.account", {})
    return take(buckets, (account, region), ACCOUNT_RATE_PER_S, ACCOUNT_BURST, now)
