"""A mutation goes out over the connection that its ids and mode were seen on, or not at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from watchdogd.adapters.vault.hands import VaultHands, Ways
from watchdogd.core.model import ClusterId, NodeAddress, NodeSeen, Reading
from watchdogd.errors import Refusal, Refused
from watchdogd.secret import Secret

WAYS = Ways(tokens={"dr-token-1": lambda: Secret("hvb.not-a-real-token")})
SEEN_ON_TWO = NodeSeen(
    cluster=ClusterId("west"),
    node=NodeAddress("https://127.1.2.1:8200"),
    started_s=0.0,
    ended_s=0.1,
    reading=Reading.ACTIVE,
    why="active",
    connection=None,
)
ACTS: tuple[Callable[[VaultHands], Awaitable[None]], ...] = (
    lambda hands: hands.promote(SEEN_ON_TWO, "dr-token-1", ensure=tuple),
    lambda hands: hands.demote(SEEN_ON_TWO, "dr-token-1", ensure=tuple),
)


@pytest.mark.parametrize("act", ACTS, ids=("promote", "demote"))
async def test_a_node_that_showed_ids_and_mode_on_different_connections_is_looked_at_again(
    act: Callable[[VaultHands], Awaitable[None]],
) -> None:
    hands = VaultHands({}, WAYS)  # with no client there is nothing that could be sent
    with pytest.raises(Refused) as refused:
        await act(hands)
    assert refused.value.kind is Refusal.NOT_YET
