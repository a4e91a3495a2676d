"""Client programs inside the world: numbered secrets through the service name, over connections that are kept."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from watchdogd.lab.wire import Exchange, Outcome, Place, Wire

if TYPE_CHECKING:
    from watchdogd.lab.world import World

Resolve = Callable[[str, float], str | None]
"""A name at a moment -> an address of this world (or a target such as `east/lb`); None if it does not resolve."""


@dataclass(slots=True, kw_only=True)
class SimClient:
    """Writes `secret/data/NAME/NUMBER` one number after the other; a number counts as written only on a 2xx.

    A connection is kept until it fails; only then is the name resolved again (the resolver has a cache of its own).
    """

    name: str
    service_name: str
    token: str
    resolve: Resolve
    every_s: float = 1.0
    timeout_s: float = 5.0
    retry_s: float = 0.5
    due_s: float = 0.0
    next_number: int = 1
    acknowledged: int = 0
    failed: int = 0
    connected_to: str | None = None  # a target: the connection that is kept
    last_acknowledged_s: float | None = None
    longest_gap_s: float = 0.0

    def act(self, world: World, now_s: float) -> None:
        """One attempt to write the next number; sets when the next attempt comes."""
        target = self.connected_to or self._connect(world, now_s)
        if target is None:
            self.failed, self.due_s = self.failed + 1, now_s + self.retry_s
            return
        exchange = world.exchange(self._wire(world, target), now_s=now_s)
        if exchange.outcome is Outcome.ANSWER and 200 <= exchange.status < 300:
            self._succeed(target, exchange, now_s)
        else:
            self._fail(exchange, now_s)

    def _connect(self, world: World, now_s: float) -> str | None:
        address = self.resolve(self.service_name, now_s)
        if address is None or address in world.targets:
            return address
        found = world.spec.target_of(address)
        return None if found is None else found[1]

    def _wire(self, world: World, target: str) -> Wire:
        own = f"client_token_{target.partition('/')[0]}"  # of a performance secondary, which knows no token of others
        return Wire(
            place=Place.CLIENTS,
            target=target,
            method="POST",
            path_and_query=f"/v1/secret/data/{self.name}/{self.next_number}",
            headers={"X-Vault-Token": world.credentials().get(own, self.token)},
            body=json.dumps({"data": {"number": self.next_number, "by": self.name}}).encode(),
        )

    def _succeed(self, target: str, exchange: Exchange, now_s: float) -> None:
        if self.last_acknowledged_s is not None:
            self.longest_gap_s = max(self.longest_gap_s, now_s - self.last_acknowledged_s)
        self.connected_to, self.last_acknowledged_s = target, now_s
        self.acknowledged, self.next_number = self.acknowledged + 1, self.next_number + 1
        self.due_s = now_s + max(self.every_s, exchange.delay_s)

    def _fail(self, exchange: Exchange, now_s: float) -> None:
        self.failed, self.connected_to = self.failed + 1, None
        is_silent = exchange.outcome in (Outcome.DROP, Outcome.HANG)
        wait_s = self.timeout_s if is_silent else min(exchange.delay_s, self.timeout_s)
        self.due_s = now_s + wait_s + self.retry_s
