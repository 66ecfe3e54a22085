"""AWS's list prices in us-east-1 without free tiers, in US dollars.

Source: the services' pricing pages (aws.amazon.com/lambda/pricing, /sqs/pricing, /sns/pricing, /eventbridge/pricing,
/dynamodb/pricing/on-demand, /step-functions/pricing; read 2026-11).
"""

from __future__ import annotations

MILLION = 1_000_000

LAMBDA_REQUEST = 0.20 / MILLION
LAMBDA_GB_SECOND = 0.0000166667
SQS_STANDARD_REQUEST = 0.40 / MILLION
SQS_FIFO_REQUEST = 0.50 / MILLION
SNS_PUBLISH = 0.50 / MILLION
EVENTS_PUBLISHED = 1.00 / MILLION
DYNAMODB_WRITE_UNIT = 0.625 / MILLION
DYNAMODB_READ_UNIT = 0.125 / MILLION
STATE_TRANSITION = 25.00 / MILLION
