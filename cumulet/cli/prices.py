"""AWS's list prices in us-east-1, first tier, without free tiers, in US dollars; tables as if all were on demand.

Source: Lambda's and DynamoDB's by summaries of their pricing pages that were compared in 2026-11; the others as they have been
published for years. Look at the services' pricing pages before you count on them.
"""

from __future__ import annotations

MILLION = 1_000_000

LAMBDA_REQUEST = 0.20 / MILLION
LAMBDA_GB_SECOND = 0.0000166667
SQS_STANDARD_REQUEST = 0.40 / MILLION
SQS_FIFO_REQUEST = 0.50 / MILLION
SNS_PUBLISH = 0.50 / MILLION
EVENTS_PUT = 1.00 / MILLION
DYNAMODB_WRITE_UNIT = 0.625 / MILLION
DYNAMODB_READ_UNIT = 0.125 / MILLION
STATE_TRANSITION = 25.00 / MILLION
