"""Key encoding: order-preserving and reversible."""

import math

from hypothesis import given
from hypothesis import strategies as st

from cumulet.kernel.keys import after_prefix, pack, unpack

PARTS = st.one_of(
    st.none(),
    st.binary(max_size=6),
    st.text(max_size=6),
    st.integers(-(2**119), 2**119),
    st.floats(allow_nan=False),
    st.booleans(),
)
KEYS = st.lists(PARTS, max_size=4).map(tuple)
_RANK = {type(None): 0, bytes: 1, str: 2, int: 3, float: 4, bool: 5}


def comparable(key):
    return [
        (
            _RANK[type(part)],
            part.encode("utf-8", "surrogatepass") if isinstance(part, str) else 0 if part is None else part,
        )
        for part in key
    ]


@given(KEYS)
def test_a_key_survives_packing(key):
    again = unpack(pack(key))
    assert [(type(a), a) for a in again] == [(type(b), b) for b in key]


@given(KEYS, KEYS)
def test_packed_keys_order_as_their_parts_do(a, b):
    if any(isinstance(p, float) and p == 0 and math.copysign(1, p) < 0 for p in (*a, *b)):
        return  # -0.0 equals 0.0 for Python, and sorts before it here
    assert (pack(a) < pack(b)) == (comparable(a) < comparable(b))


@given(KEYS, KEYS, KEYS)
def test_a_prefix_range_has_exactly_the_keys_that_extend_the_prefix(prefix, rest, other):
    low, high = pack(prefix), after_prefix(pack(prefix))
    assert low <= pack(prefix + rest) < high
    if tuple(comparable(other[: len(prefix)])) != tuple(comparable(prefix)):
        assert not low <= pack(other) < high
