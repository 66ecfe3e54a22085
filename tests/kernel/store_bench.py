"""What the tests of the store share."""

import asyncio
import sqlite3

from cumulet.kernel.redolog import RedoLog
from cumulet.kernel.store import Store
from cumulet.kernel.tx import TimerScope

SCOPE = TimerScope(account="", region="")


def run(coroutine):
    async def soon():
        await asyncio.wait_for(coroutine, 120)

    asyncio.run(soon())


def put(key, value):
    return lambda tx: tx.put(key, value)


def keys(store):
    return [key[1] for key in store.begin(SCOPE).scan_keys(("k",))]


def keys_in(folder):
    store = Store(folder)
    found = keys(store)
    store.close()
    return found


def full():
    raise sqlite3.OperationalError("database or disk is full")


def replayed(path):
    log = RedoLog(path)
    found = list(log.replay())
    log.close()
    return found


def append(log, writes):
    log.append(log.frame(writes))
