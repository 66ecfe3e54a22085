"""DynamoDB: tables of items with secondary indexes, expressions, transactions and time to live."""

from cumulet.kernel.service import Service
from cumulet.services.dynamodb import batches, items, lifecycle, queries, settings, tables, transactions
from cumulet.services.dynamodb.cfn import RESOURCES

SERVICE = Service(
    "dynamodb",
    modules=(tables, settings, items, queries, batches, transactions),
    timers={
        "dynamodb.table": lifecycle.table_step,
        "dynamodb.expire": lifecycle.expire,
        "dynamodb.enter": lifecycle.enter,
        "dynamodb.count": lifecycle.count,
    },
    resources=RESOURCES,
)
