"""A short rough ride; `soak.py` says what it is made of."""

import pytest

from tests.network.redis import require_redis
from tests.network.soak import ride

IDLE = 8
"""Connections to the endpoint that a last call may just have left."""
MB_SETTLED = 80
"""What hostile inputs leave in the pools of the allocator: no more than this after hundreds of them."""

pytestmark = pytest.mark.anyio


async def test_a_rough_ride_ends_every_call_and_leaks_nothing() -> None:
    require_redis()
    ridden, held = await ride(12)
    assert ridden.odd == []
    assert ridden.ended["stop"] > 5 and ridden.ended["interrupted"] > 0 and ridden.ended["vanished"] > 5
    assert ridden.ended["hostile"] > 10
    assert held["descriptors after"] <= held["descriptors before"] + IDLE
    assert held["MB after"] <= held["MB before"] + MB_SETTLED
    assert held["exit status"] == 0
