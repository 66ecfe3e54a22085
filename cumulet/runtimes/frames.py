"""The frames that the server and an execution environment exchange over their Unix socket.

A frame is `!IIB` (length of the JSON head, length of the payload, kind), then the head, then the payload. Payloads are
the customer's bytes and are never parsed on the way. This module is imported on both sides and imports only `struct`.
"""

from __future__ import annotations

import struct

HEAD = struct.Struct("!IIB")
MAX_FRAME_BYTES = 64 << 20

READY = 1  # environment -> server: a blank is up
INIT = 2  # server -> environment: become this function
INITED = 3  # environment -> server: the handler is imported, or why it is not
INVOKE = 4  # server -> environment: one event
RESULT = 5  # environment -> server: its outcome

# Zygote control messages: one datagram each, `kind` and these numbers.
FORK = b"F"  # server -> zygote: environment id, with two descriptors (socket, output pipe)
KILL = b"K"  # server -> zygote: environment id
FORKED = b"P"  # zygote -> server: environment id, pid
EXITED = b"X"  # zygote -> server: environment id, wait status, maximum resident kilobytes
UP = b"U"  # zygote -> server: imports done; 1 if mount namespaces work
CONTROL = struct.Struct("!cqqq")


def pack(kind: int, head: bytes, payload: bytes = b"") -> bytes:
    """One frame, ready to send."""
    return b"".join((HEAD.pack(len(head), len(payload), kind), head, payload))


class Reader:
    """Cuts a byte stream into frames; feed it what arrives."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, bytes, bytes]]:
        """Return the frames that `data` completes, as (kind, head, payload)."""
        buffer = self._buffer
        buffer += data
        frames = []
        at = 0
        while len(buffer) - at >= HEAD.size:
            head_length, payload_length, kind = HEAD.unpack_from(buffer, at)
            if head_length + payload_length > MAX_FRAME_BYTES:
                raise ValueError(f"a frame of {head_length + payload_length} bytes")
            middle = at + HEAD.size + head_length
            end = middle + payload_length
            if len(buffer) < end:
                break
            frames.append((kind, bytes(buffer[at + HEAD.size : middle]), bytes(buffer[middle:end])))
            at = end
        if at:
            del buffer[:at]
        return frames
