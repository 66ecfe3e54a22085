"""Records: immutable values with named fields, stored as MessagePack maps without the fields left at their default."""

from typing import Any, TypeVar, dataclass_transform

import msgspec


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of everything a service stores. A field added later needs a default, so that old rows still decode.

    Change one with `replace(record, field=value)`. Fields hold plain values (str, int, float, bytes, bool, None,
    list, tuple, dict, other Records); never mutate a list or dict inside a record: records are shared by a cache.
    """


R = TypeVar("R", bound=Record)


def replace(record: R, **changes: Any) -> R:
    """A copy of `record` with `changes`."""
    return msgspec.structs.replace(record, **changes)


class Codec:
    """Encodes and decodes records, one compiled decoder per record type."""

    def __init__(self) -> None:
        self.encode = msgspec.msgpack.Encoder().encode
        self._decoders: dict[type, msgspec.msgpack.Decoder[Any]] = {}

    def decode(self, data: bytes, type_: type[R]) -> R:
        decoder = self._decoders.get(type_)
        if decoder is None:
            decoder = self._decoders[type_] = msgspec.msgpack.Decoder(type_)
        return decoder.decode(data)  # type: ignore[no-any-return]
