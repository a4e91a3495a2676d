"""The world: clusters, links, faults and true counts under one clock. Pure, seeded, deterministic.

The same seed, spec and sequence of calls gives the same bytes. Nothing here reads a clock or opens a socket.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from watchdogd.lab.counts import AppliedEffect, SentRequest, TrueCounts
from watchdogd.lab.faults import FaultBoard
from watchdogd.lab.spec import WorldSpec
from watchdogd.lab.wire import Exchange, Wire

EPOCH_UTC_S = 1_772_366_400.0
"""What the wall clocks of a world show at its second 0 unless said otherwise: 2026-03-01T12:00:00Z."""


class World:
    """All clusters of one lab. `now_s` is the lab's own clock; wall clocks show `epoch_utc_s + now_s`."""

    spec: WorldSpec
    now_s: float
    epoch_utc_s: float
    faults: FaultBoard
    counts: TrueCounts
    applied: list[AppliedEffect]
    sent: list[SentRequest]
    published_cluster: Callable[[float], str | None] | None
    """Where the service name points, as the authoritative servers publish it; set by whoever owns the zone."""

    def __init__(self, spec: WorldSpec, *, seed: int, now_s: float = 0.0, epoch_utc_s: float = EPOCH_UTC_S) -> None:
        raise NotImplementedError

    def tick(self, now_s: float) -> None:
        """Advance to `now_s` in steps of at most 1 s, never past an event. Nothing happens if `now_s` is not later."""
        raise NotImplementedError

    def exchange(self, wire: Wire, *, now_s: float) -> Exchange:
        """One HTTP request that arrives at `now_s`. Raises nothing: whatever is wrong with it is an answer."""
        raise NotImplementedError

    def fence(self, cluster: str, on: bool) -> None:
        """Close or open the client network of the cluster's region. Bastion and replication stay as they are."""
        raise NotImplementedError

    def is_fenced(self, cluster: str) -> bool:
        """Whether the client network of the cluster's region is closed."""
        raise NotImplementedError

    def primary(self) -> str | None:
        """The one cluster that is active primary now; None for none or several."""
        raise NotImplementedError

    def credentials(self) -> Mapping[str, str]:
        """What a person would have been given at set-up: root token, shares, AppRole ids, batch tokens."""
        raise NotImplementedError
