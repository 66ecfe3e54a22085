"""Operations of our own for consumers of streams inside: Lambda's event source mappings, Pipes.

A consumer reads the shards of a stream, parents to their end before their children, and remembers the last sequence number it is
done with. Where there is nothing it gets a Wait on what will write next; nothing is polled.
"""

from __future__ import annotations

import math
from typing import Any

from cumulet.kernel.context import Context
from cumulet.kernel.outcome import Wait

Json = dict[str, Any]


def shards(ctx: Context, req: Json) -> Json:
    """The shards of a stream in the order in which they opened, and a Wait for the next change of them.

    {"StreamArn"} -> {"Shards": [{"ShardId", "ParentShardId"?, "Closed": bool}], "Wait": Wait}
    Raises: ResourceNotFoundException.
    """
    listed = ctx.call("dynamodb", "cumulet:StreamShards", {"StreamArn": req["StreamArn"]})["Shards"]
    changes = ctx.call("dynamodb", "cumulet:Stream", {"StreamArn": req["StreamArn"]})["Changes"]
    out = []
    for shard in listed:
        entry = {"ShardId": shard["ShardId"], "Closed": "EndingSequenceNumber" in shard["SequenceNumberRange"]}
        if "ParentShardId" in shard:
            entry["ParentShardId"] = shard["ParentShardId"]
        out.append(entry)
    return {"Shards": out, "Wait": Wait(changes, math.inf)}


def read(ctx: Context, req: Json) -> Json:
    """Records of a shard behind one that the caller is done with, in the form of Lambda's event.

    {"StreamArn", "ShardId", "After": sequence number or "", "StartingPosition"?: "TRIM_HORIZON" (default) or "LATEST",
    "Limit", "MaxBytes"?} -> {"Records", "Traces": one for each, "After": the last read, "Closed": closed and read to
    the end, "Wait"?: when there is nothing to read, and something may come}. StartingPosition counts when After is "". What is
    trimmed meanwhile is passed over. Raises: ResourceNotFoundException (also for a shard that is gone).
    """
    asked: Json = {"StreamArn": req["StreamArn"], "ShardId": req["ShardId"], "Limit": req["Limit"]}
    if "MaxBytes" in req:
        asked["MaxBytes"] = req["MaxBytes"]
    if req["After"]:
        asked["From"] = str(int(req["After"]) + 1)
    elif req.get("StartingPosition") == "LATEST":
        asked["From"] = ctx.call("dynamodb", "cumulet:StreamRecords", {**asked, "Limit": 0})["End"]
    page = ctx.call("dynamodb", "cumulet:StreamRecords", asked)
    for record in page["Records"]:
        record["eventSourceARN"] = req["StreamArn"]
    out: Json = {
        "Records": page["Records"],
        "Traces": page["Traces"],
        "After": str(int(page["Next"]) - 1),
        "Closed": page["Closed"] and page["Next"] == page["End"],
    }
    if not page["Records"] and not out["Closed"]:
        out["Wait"] = Wait(page["Arrivals"], math.inf)
    return out


def latest(ctx: Context, req: Json) -> Json:
    """The sequence number of a shard's newest record, or the number before its first: what `cumulet:Read` takes as After.

    {"StreamArn", "ShardId"} -> {"SequenceNumber"}. Raises: ResourceNotFoundException.
    """
    asked = {"StreamArn": req["StreamArn"], "ShardId": req["ShardId"], "Limit": 0}
    return {"SequenceNumber": str(int(ctx.call("dynamodb", "cumulet:StreamRecords", asked)["End"]) - 1)}
