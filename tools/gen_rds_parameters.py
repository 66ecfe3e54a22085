"""Writes cumulet/services/rds/parameters.json: what PostgreSQL says of its own settings, for DB parameter groups.

Run it when the bundled PostgreSQL changes: `.venv/bin/python tools/gen_rds_parameters.py`.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from pathlib import Path

from cumulet.engines.model import PostgresSpec
from cumulet.engines.postgres import Cluster
from cumulet.testing.process import free_port

TARGET = Path(__file__).parents[1] / "cumulet/services/rds/parameters.json"
QUERY = """
SELECT json_agg(json_build_object('name', name, 'type', vartype, 'unit', unit, 'context', context, 'category', category,
    'min', min_val, 'max', max_val, 'enum', enumvals, 'default', boot_val, 'text', short_desc) ORDER BY name)
FROM pg_settings WHERE context <> 'internal' AND name NOT LIKE '%.%' AND category <> 'Developer Options';
"""
VERIFIER = "SCRAM-SHA-256$4096:AA==$AA==:AA=="


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        cluster = Cluster(Path(folder) / "cluster", durable=False)
        await cluster.start(PostgresSpec("db", (), free_port(), "someone", VERIFIER, ("postgres",)))
        rows = json.loads(await cluster.sql(QUERY))
        await cluster.stop()
    rows = [{key: value for key, value in row.items() if value not in (None, "")} for row in rows]
    TARGET.write_text("[\n" + ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows) + "\n]\n")
    print(f"{len(rows)} parameters in {TARGET}")


asyncio.run(main())
