"""DynamoDB: tables of items with secondary indexes, expressions, transactions and time to live."""

from cumulet.kernel.service import Service
from cumulet.services.dynamodb import (
    backups,
    batches,
    exporting,
    exports,
    importing,
    imports,
    items,
    lifecycle,
    policies,
    queries,
    restoring,
    settings,
    snapshots,
    statements,
    streamreads,
    streamshards,
    tables,
    transactions,
)
from cumulet.services.dynamodb.authz import AUTHZ
from cumulet.services.dynamodb.cfn_global import RESOURCES
from cumulet.services.dynamodb.subjects import SUBJECTS

SERVICE = Service(
    "dynamodb",
    modules=(tables, settings, items, queries, batches, transactions, statements, backups, policies, exports, imports),
    timers={
        "dynamodb.table": lifecycle.table_step,
        "dynamodb.expire": lifecycle.expire,
        "dynamodb.enter": lifecycle.enter,
        "dynamodb.count": lifecycle.count,
        "dynamodb.restore": restoring.restore_step,
        "dynamodb.sweep": restoring.sweep_step,
        "dynamodb.export": exporting.export_step,
        "dynamodb.import": importing.import_step,
        "dynamodb.backup": snapshots.backup_step,
        "dynamodb.stream": streamshards.stream_step,
        "dynamodb.split": streamshards.split,
    },
    internals={
        "cumulet:Streams": streamreads.streams,
        "cumulet:Stream": streamreads.stream,
        "cumulet:StreamShards": streamreads.shards,
        "cumulet:StreamRecords": streamreads.records,
    },
    resources=RESOURCES,
    subjects=SUBJECTS,
    authz=AUTHZ,
)
