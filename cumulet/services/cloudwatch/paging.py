"""Tokens of pages: a place in the key order, opaque to clients."""

from __future__ import annotations

import base64
import binascii

from cumulet.aws.errors import AwsError
from cumulet.kernel.keys import Key, pack, unpack


def token(key: Key) -> str:
    """The token of the page that begins at `key`."""
    return base64.urlsafe_b64encode(pack(key)).decode()


def place(text: str, refusal: type[AwsError]) -> Key:
    """The key in a token. Raises: `refusal` for what is no token of ours."""
    try:
        return unpack(base64.b64decode(text, altchars=b"-_", validate=True))
    except (ValueError, IndexError, binascii.Error) as error:
        raise refusal("The service does not recognize the NextToken that was specified.") from error
