"""In-memory implementations of the ports, for tests under virtual time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from watchdogd.core.model import ClusterId
from watchdogd.ports import FenceOutcome, FenceResult, FenceVerb, Notice, Severity
from watchdogd.rehearsal.memory import START_UTC, Fuse


@dataclass(slots=True, kw_only=True)
class HandClock:
    """Both clocks stand until the test moves them."""

    at_s: float = 1000.0

    def now_s(self) -> float:
        return self.at_s

    def wall_utc(self) -> datetime:
        return START_UTC + timedelta(seconds=self.at_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceCall:
    """One call of the fence."""

    verb: FenceVerb
    cluster: ClusterId
    epoch: int
    run_id: str
    at_s: float


@dataclass(slots=True, kw_only=True)
class MemoryFence:
    """The `Fence` port. `answers[verb]` are given in turn, the last one for ever; DONE where there are none.

    `held` is what the network does: a call takes effect when it is DONE, and when it TIMED_OUT too if
    `acts_when_hung`. `fuse` is called with
    "fence before on east" and "fence after on east" around every call.
    """

    answers: dict[FenceVerb, list[FenceResult]] = field(default_factory=dict)
    takes_s: float = 0.0
    acts_when_hung: bool = False
    fuse: Fuse | None = None
    held: set[ClusterId] = field(default_factory=set)
    calls: list[FenceCall] = field(default_factory=list)

    async def __call__(self, verb: FenceVerb, cluster: ClusterId, *, epoch: int, run_id: str) -> FenceResult:
        self._burn(f"fence before {verb} {cluster}")
        at_s = asyncio.get_running_loop().time()
        self.calls.append(FenceCall(verb=verb, cluster=cluster, epoch=epoch, run_id=run_id, at_s=at_s))
        await asyncio.sleep(self.takes_s)
        result = self._answer(verb)
        hung_but_acted = self.acts_when_hung and result.outcome is FenceOutcome.TIMED_OUT
        if result.outcome is FenceOutcome.DONE or hung_but_acted:
            self._act(verb, cluster)
        self._burn(f"fence after {verb} {cluster}")
        return result

    def verbs(self, cluster: ClusterId) -> tuple[FenceVerb, ...]:
        """What was asked for `cluster`, in order."""
        return tuple(call.verb for call in self.calls if call.cluster == cluster)

    def _answer(self, verb: FenceVerb) -> FenceResult:
        answers = self.answers.get(verb, [])
        if not answers:
            return FenceResult(outcome=FenceOutcome.DONE)
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def _act(self, verb: FenceVerb, cluster: ClusterId) -> None:
        if verb is FenceVerb.ON:
            self.held.add(cluster)
        elif verb is FenceVerb.OFF:
            self.held.discard(cluster)

    def _burn(self, point: str) -> None:
        if self.fuse is not None:
            self.fuse(point)


@dataclass(slots=True, kw_only=True)
class ListNotifier:
    """The `Notifier` port: every notice, in order, also the same one again."""

    told: list[Notice] = field(default_factory=list)

    def tell(self, notice: Notice) -> None:
        self.told.append(notice)

    @property
    def pages(self) -> tuple[str, ...]:
        """The keys of all pages, in order."""
        return tuple(notice.key for notice in self.told if notice.severity is Severity.PAGE)

    def keys(self) -> frozenset[str]:
        """Every key that was ever told."""
        return frozenset(notice.key for notice in self.told)
