"""The local form of the URLs that templates output in AWS's form."""

import re

_EXECUTE_API = re.compile(r"https?://([a-z0-9]+)\.execute-api\.[a-z0-9-]+\.amazonaws\.com(?::\d+)?(/.*)?$")
_FUNCTION_URL = re.compile(r"https?://([a-z0-9]+)\.lambda-url\.[a-z0-9-]+\.on\.aws(/.*)?$")


def local_url(endpoint: str, url: str) -> str | None:
    """Where `url` (an API's or a function's, in AWS's form) answers on `endpoint`; None for anything else."""
    for pattern, door in ((_EXECUTE_API, "execute-api"), (_FUNCTION_URL, "lambda-url")):
        match = pattern.match(url)
        if match:
            return f"{endpoint.rstrip('/')}/_aws/{door}/{match[1]}{match[2] or ''}"
    return None
