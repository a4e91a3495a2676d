"""A rehearsal at the level of the runbooks: the lab's world in memory, production clients, hands and runbooks on it.

`Site` is what survives a kill of the daemon, `Watch` is one incarnation of it, `Drill` starts, kills and restarts
incarnations on one site. All under virtual time; the world's clock, CLOCK_BOOTTIME and the loop's time differ by a
constant only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.support.drill_daemon import Watch
from tests.support.drill_site import PAIR, Burn, Setting, Site, no_fuse
from tests.support.memory import ListNotifier
from watchdogd.core.entries import Adopted, Entry, RunAbortAsked, Runbook, RunEnded, RunOutcome, RunUnparked
from watchdogd.core.ledger import Ledger, Run
from watchdogd.core.model import ClusterId


class Drill:
    """One site and the incarnations of the daemon on it. `async with` it; leaving kills the last one."""

    def __init__(self, setting: Setting | None = None, *, site: Site | None = None, fuse: Burn = no_fuse) -> None:
        self.site = site or Site.found(setting or Setting())
        self.fuse = fuse
        self.notifier = ListNotifier()
        self.daemon = Watch(self.site, notifier=self.notifier, fuse=fuse)
        self._tasks = asyncio.TaskGroup()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Drill:
        await self._tasks.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.kill()
        await self._tasks.__aexit__(*(exc if any(exc) else (None, None, None)))  # type: ignore[arg-type]

    def start(self) -> None:
        """Start the daemon that was made, or the next one after a kill."""
        if self.daemon.transport.revoked:
            self.daemon = Watch(self.site, notifier=self.notifier, fuse=self.fuse)
        self._task = self._tasks.create_task(self.daemon.run_until_killed())

    def kill(self) -> None:
        """SIGKILL: nothing of the incarnation touches anything any more."""
        self.daemon.revoke()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def restart(self) -> None:
        """Kill it and start the next one at once."""
        self.kill()
        self.start()

    @property
    def ledger(self) -> Ledger:
        """The durable state of the pair."""
        return self.daemon.ledger

    @property
    def run(self) -> Run:
        """The open run."""
        run = self.ledger.run
        assert run is not None, "no run is open"
        return run

    @property
    def ended(self) -> tuple[tuple[Runbook, str], ...]:
        """The runs that ended, with their outcomes."""
        return tuple((run.runbook, run.outcome.value if run.outcome else "") for run in self.ledger.recent_runs)

    async def write(self, *entries: Entry) -> None:
        """What the control socket writes on somebody's behalf."""
        await self.daemon.journal.append(PAIR, *entries)

    async def unpark(self, verb: str, *, waive: tuple[str, ...] = (), skip: str = "") -> None:
        """`run retry`, `run proceed` or `run skip`, as the control socket writes them."""
        await self.write(RunUnparked(run_id=self.run.run_id, by_uid=1000, verb=verb, waive=waive, skip_step=skip))

    async def abort(self) -> None:
        """`run abort`."""
        await self.write(RunAbortAsked(run_id=self.run.run_id, by_uid=1000, reason="asked"))

    async def adopt(self, cluster: ClusterId) -> None:
        """`run adopt`: a person says which cluster counts, and the run is over."""
        await self.write(
            Adopted(epoch=self.ledger.next_epoch, cluster=cluster, by_uid=1000, reason="asked"),
            RunEnded(run_id=self.run.run_id, outcome=RunOutcome.ADOPTED),
        )

    async def until(self, holds: Callable[[], object], *, within_s: float, every_s: float = 0.25) -> float:
        """Wait until it holds; returns how long it took. Fails with what is known when it does not."""
        began_s = self.site.now_s()
        while not holds():
            if self.site.now_s() - began_s >= within_s:
                raise AssertionError(f"not within {within_s:.0f} s: {self.story()}")
            await asyncio.sleep(every_s)
        return self.site.now_s() - began_s

    async def healthy(self) -> None:
        """Start, and wait until the pair is elected, steady and protected."""
        self.start()
        await self.until(lambda: self._row() == "S-10" and self._cold_start_is_over(), within_s=30.0)

    def _row(self) -> str:
        return self.daemon.decision.row.id if self.daemon.decision is not None else ""

    def _cold_start_is_over(self) -> bool:
        return self.site.now_s() - self.daemon.started_s > self.site.setting.timing.cold_start_s

    def is_settled(self, primary: ClusterId) -> bool:
        """True when nothing is left to do: one primary, elected, published, no debt, no fence, no run."""
        self.site.tick()
        ledger = self.ledger
        return (
            self.site.world.active_primaries() == (primary,)
            and ledger.elected == primary
            and ledger.open_debt is None
            and not ledger.fences
            and not self.site.held
            and ledger.run is None
            and self.site.names.published(self.site.now_s()) == primary
        )

    def story(self) -> str:
        """What happened, for a failing test."""
        run = self.ledger.run
        parked = f"{run.runbook} {run.state} at {run.parked_step!r} {run.parked_need}: {run.parked_why}" if run else "-"
        gates = [f"{g.gate}: {g.why}" for g in self.daemon.facts.closed_gates()] if self.daemon.facts else []
        return "\n".join(
            (
                f"row {self._row()}, primaries {self.site.world.active_primaries()}, elected {self.ledger.elected}",
                f"run {parked}",
                f"gates {gates}",
                f"ended {[(r.runbook.value, r.outcome, r.why) for r in self.ledger.recent_runs]}",
                f"entries {' '.join(r.entry.kind for r in self.site.durable[-40:])}",
                f"told {[n.summary for n in self.notifier.told[-6:]]}",
            )
        )
