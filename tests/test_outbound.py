"""Requests to other people's servers, while the server stops."""

import asyncio

import pytest

from cumulet.aws.http import HttpCall
from cumulet.kernel.outcome import EffectInterrupted
from cumulet.kernel.trace import Tracer
from cumulet.outbound import Outbound

SPAN = Tracer().begin("http", "effect", 0.0)


@pytest.mark.parametrize("used", [True, False])
def test_a_request_that_was_decided_before_the_stop_has_not_failed(used):
    """It is made by the next start; a failure would be counted as an attempt."""

    async def main():
        outbound = Outbound()
        if used:
            await outbound._open()
        await outbound.close()
        with pytest.raises(EffectInterrupted):
            await outbound.perform(SPAN, HttpCall("GET", "http://127.0.0.1:9/", {}, b"", 5.0))
        assert used or outbound._session is None

    asyncio.run(main())
