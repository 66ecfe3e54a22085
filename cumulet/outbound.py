"""HTTP requests to other people's servers: the performer of the effect "http".

The client (aiohttp) is imported with the first request: it takes 0.15 s, which the start-up need not pay.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cumulet.aws.http import HttpCall, HttpReply
from cumulet.kernel.outcome import EffectFailed, EffectInterrupted
from cumulet.kernel.trace import Span

if TYPE_CHECKING:
    import aiohttp

_AT_ONCE = 256
_LONGEST_BODY = 10 * 1024 * 1024


class Outbound:
    """One pool of connections for the whole cloud. Redirects are not followed: their meaning is the caller's."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._closing = False

    async def perform(self, span: Span, call: HttpCall) -> HttpReply:
        """Raises: EffectFailed with code Timeout, ConnectionFailed, InvalidUrl or ResponseTooLarge; EffectInterrupted."""
        span.name = f"http {call.method} {call.url.partition('?')[0]}"
        span.subject = ("http", "", "", call.url)
        if self._closing:  # since it was decided
            raise _stopping()
        session = self._session or await self._open()
        import aiohttp
        from yarl import URL

        try:
            url = URL(call.url, encoded=True)  # as the caller encoded it: yarl would write %2F in a query as /
            async with asyncio.timeout(call.timeout_s):
                async with session.request(
                    call.method, url, headers=call.headers, data=call.body or None, allow_redirects=False
                ) as answer:
                    body = await answer.content.read(_LONGEST_BODY + 1)
                    while len(body) <= _LONGEST_BODY and (more := await answer.content.read(_LONGEST_BODY)):
                        body += more
                    names = dict.fromkeys(name.lower() for name in answer.headers)
                    headers = {name: ", ".join(answer.headers.getall(name)) for name in names}
                    status, cookies = answer.status, tuple(answer.headers.getall("Set-Cookie", ()))
        except TimeoutError as error:
            raise EffectFailed("Timeout", f"{call.url} did not answer within {call.timeout_s:g} seconds.") from error
        except (aiohttp.InvalidURL, ValueError) as error:
            raise EffectFailed("InvalidUrl", f"{call.url} is no URL to call: {error}") from error
        except (aiohttp.ClientError, OSError) as error:
            if self._closing:
                raise _stopping() from error
            text = str(error) or type(error).__name__
            raise EffectFailed("ConnectionFailed", f"{call.url} could not be reached: {text}") from error
        except asyncio.CancelledError:
            raise _stopping() from None
        if len(body) > _LONGEST_BODY:
            raise EffectFailed("ResponseTooLarge", f"{call.url} answered with more than {_LONGEST_BODY} bytes.")
        span.detail = str(status)
        if status >= 400:
            span.status = str(status)
        return HttpReply(status, headers, bytes(body), cookies)

    async def _open(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_AT_ONCE, ttl_dns_cache=60),
                skip_auto_headers=("User-Agent", "Content-Type", "Accept", "Accept-Encoding"),
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    async def close(self) -> None:
        """Give up what is under way."""
        self._closing = True
        if self._session is not None:
            await self._session.close()


def _stopping() -> EffectInterrupted:
    return EffectInterrupted("ConnectionFailed", "The server is stopping.")
