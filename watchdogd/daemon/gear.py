"""What one pair is watched and changed with: every port joined to its adapter, or to a simulated one in tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from watchdogd.core.model import ClusterId, NodeAddress, NodeSeen, RawRound
from watchdogd.core.policy import AnchorPolicy, PairPolicy
from watchdogd.ports import DnsProvider, DnsWatch, Fence, Hands

ProbeRound = Callable[[float], Coroutine[Any, Any, RawRound]]  # takes the hard time-out in seconds; never raises
PublishCheck = Callable[[ClusterId], Awaitable[bool]]  # the Eyes port's `through_published_address`
Reach = Callable[[str], Awaitable[bool]]  # one TCP connect to HOST:PORT; bounded; never raises
Background = Callable[[], Awaitable[None]]  # a loop of the gear's own, owned by the App


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What one witness said. `why` is one short sentence.

    `alive_s` is the latest moment at which the cluster is known to have lived; None: when the witness was asked.
    """

    sees: bool
    why: str = ""
    alive_s: float | None = None


LearnExpiry = Callable[[NodeSeen, str], Awaitable[float | None]]  # ask a living primary; raises as the Hands port
Witness = Callable[[ClusterId], Awaitable[Sighting]]  # does it see this cluster; bounded; never raises


@dataclass(frozen=True, slots=True, kw_only=True)
class PairGear:
    """Everything that differs between production and a simulation, for one pair."""

    policy: PairPolicy
    probes: Mapping[ClusterId, Mapping[NodeAddress, ProbeRound]]
    publish_check: PublishCheck
    hands: Hands
    fence: Fence
    dns: DnsProvider
    dns_watch: DnsWatch
    anchors: tuple[AnchorPolicy, ...] = ()
    reach: Reach
    witnesses: Mapping[str, Witness] = field(default_factory=dict)
    expiry_utc_s: Callable[[str], float | None] = lambda credential: None
    learn_expiry: LearnExpiry | None = None
    background: tuple[Background, ...] = ()
