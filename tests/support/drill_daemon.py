"""One incarnation of the daemon in a drill: production clients, hands and runbooks, and a small decision loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from tests.support.drill_dns import DrillDns
from tests.support.drill_rules import ensure_foreseen
from tests.support.drill_site import (
    EAST,
    MUTATIONS,
    PAIR,
    TICK_S,
    TURN_S,
    Burn,
    Site,
    no_fuse,
    policy_of,
)
from tests.support.memory import ListNotifier, MemoryFence
from watchdogd.adapters.vault import parse
from watchdogd.adapters.vault.client import NodeClient
from watchdogd.adapters.vault.hands import SecretSource, VaultHands, Ways
from watchdogd.core.decision import Decision, decide
from watchdogd.core.entries import Entry, Runbook, RunParked, Stamp
from watchdogd.core.facts import CredentialSeen, Facts, FenceSeen, Surroundings, WitnessSeen
from watchdogd.core.ledger import Ledger, Run, RunState
from watchdogd.core.model import ClusterId, Mode, NodeAddress, NodeSeen, PairId, Replication
from watchdogd.core.naming import name_fact
from watchdogd.core.observed import Suspected, entries_due
from watchdogd.core.readings import read
from watchdogd.core.watch import PairWatch
from watchdogd.errors import MalformedReply, Need, NeedsOperator, OutcomeUnknown, Refusal, Refused, Unreachable
from watchdogd.lab.wire import Place
from watchdogd.ports import Ensure, FenceVerb, HttpReply, HttpRequest, Look
from watchdogd.rehearsal.memory import MemoryJournal, Revoked
from watchdogd.rehearsal.transport import WorldTransport
from watchdogd.runbooks.context import RunContext, StepEvent
from watchdogd.runbooks.engine import execute
from watchdogd.runbooks.opening import Wanted, open_run


class DrillTransport(WorldTransport):
    """Burns "vault before promote west" and "vault after promote west" around every role change."""

    def __init__(self, site: Site, fuse: Burn) -> None:
        super().__init__(site.world, Place.BASTION, ahead_s=site.ahead_s)
        self._site = site
        self._fuse = fuse

    async def __call__(
        self, request: HttpRequest, *, timeout_s: float, only_on_connection: int | None = None
    ) -> HttpReply:
        verb = next((verb for verb, path in MUTATIONS.items() if request.url.endswith(path)), "")
        if not verb:
            return await super().__call__(request, timeout_s=timeout_s, only_on_connection=only_on_connection)
        cluster = self._target_of(request.url)[0].partition("/")[0]
        self._fuse(f"vault before {verb} {cluster}")
        if self.revoked:
            raise Revoked(request.url)
        self._site.sent.append((self.now_s(), verb, cluster))
        try:
            return await super().__call__(request, timeout_s=timeout_s, only_on_connection=only_on_connection)
        finally:
            self._fuse(f"vault after {verb} {cluster}")


@dataclass(slots=True, kw_only=True)
class DrillFence(MemoryFence):
    """The fence command really closes the client network of the lab's region."""

    site: Site
    revoked: bool = False

    def _act(self, verb: FenceVerb, cluster: ClusterId) -> None:
        if self.revoked:
            raise Revoked(f"fence {verb} {cluster}")
        MemoryFence._act(self, verb, cluster)
        if verb is not FenceVerb.CHECK:
            self.site.tick()
            self.site.world.fence(cluster, verb is FenceVerb.ON)


class DrillJournal(MemoryJournal):
    """`slow_s` and `refuses` are asked with the kinds of each append, joined by "+"."""

    slow_s: Callable[[str], float] = staticmethod(lambda point: 0.0)
    refuses: Callable[[str], bool] = staticmethod(lambda point: False)
    site: Site

    async def append(self, pair: PairId, *entries: Entry) -> None:
        point = "+".join(entry.kind for entry in entries)
        if slow_s := self.slow_s(point):
            await asyncio.sleep(slow_s)
        if self.refuses(point):
            raise NeedsOperator(Need.JOURNAL, f"no space left on device, at {point}")
        await super().append(pair, *entries)
        self.site.durable = self.durable


class DrillHands(VaultHands):
    """Remembers which cluster has denied which credential, as the book of proofs does."""

    denied: set[tuple[str, ClusterId]]

    async def promote(self, at: NodeSeen, credential: str, *, ensure: Ensure, force: bool = False) -> None:
        try:
            await super().promote(at, credential, ensure=ensure, force=force)
        except Refused as refused:
            if refused.kind is Refusal.DENIED:
                self.denied.add((credential, at.cluster))
            raise


@dataclass(slots=True)
class Worked:
    """Which addresses once worked; durable."""

    nodes: set[NodeAddress]

    def answered(self, node: NodeAddress, peer: str = "") -> None:
        self.nodes.add(node)

    def answered_as_another(self, node: NodeAddress) -> None:
        self.nodes.discard(node)

    def silent(self, node: NodeAddress) -> None:
        """Nothing is learnt of it."""

    def ever_answered(self, node: NodeAddress) -> bool:
        return node in self.nodes


class Watch:
    """One incarnation of the daemon: eyes, hands, a decision loop, and at most one run at a time."""

    def __init__(self, site: Site, *, notifier: ListNotifier, fuse: Burn = no_fuse, boot_id: str = "boot-1") -> None:
        self.site = site
        self.policy = policy_of(site)
        self.notifier = notifier
        self.fuse = fuse  # told every point; a test may put another one here
        self.journal = DrillJournal(clock=site, fuse=self._burn, boot_id=boot_id, durable=site.durable)
        self.journal.site = site
        self.transport = DrillTransport(site, self._burn)
        self.dns = DrillDns(model=site.names, now_s=site.now_s, fuse=self._burn, is_manual=site.setting.is_dns_manual)
        self.fence = DrillFence(site=site, fuse=self._burn, held=site.held)
        self.clients = self._clients()
        self.hands = DrillHands(self.clients, _ways(site), lambda cluster: self._nonces(cluster))
        self.hands.denied = site.denied
        self.watch = PairWatch(policy=self.policy, known=site.known)
        self.started_s = site.now_s()
        self.boot_id = boot_id
        self.looked_s = -1000.0
        self.seen_s: dict[ClusterId, float] = {}  # when the newest look at each cluster ended
        self.looks = 0
        self.stopping = ""
        self.tilt = ""
        self.witness_sees = False
        self.events: list[StepEvent] = []
        self.facts: Facts | None = None
        self.decision: Decision | None = None
        self.on_step: Callable[[StepEvent], None] = lambda event: None
        self._suspected = Suspected()
        self._ran_here: set[str] = set()
        self._wanted: tuple[Runbook, ClusterId, ClusterId, str, str] | None = None
        self._is_settling_first = False
        self._begun_s: dict[str, float] = {}

    def _clients(self) -> dict[NodeAddress, NodeClient]:
        addresses = Worked(self.site.answered)
        return {
            node: NodeClient(
                cluster=cluster,
                node=node,
                kind=Replication.DR,
                transport=self.transport,
                addresses=addresses,
                clock=self.site,
            )
            for cluster in self.policy.cluster_ids
            for node in self.policy.cluster(cluster).nodes
        }

    @property
    def ledger(self) -> Ledger:
        """The durable state of the pair."""
        return self.journal.ledger(PAIR)

    def _burn(self, point: str) -> None:
        if not self.transport.revoked:
            self._ensure_foreseen(point)
        self.fuse(point)

    def _ensure_foreseen(self, point: str) -> None:
        by, when, *what = point.split()
        if when == "before" and by != "journal":
            ages_s = {cluster: self.site.now_s() - seen_s for cluster, seen_s in self.seen_s.items()}
            ensure_foreseen(by, what, self.ledger, ages_s, max_age_s=self.policy.timing.last_look_max_age_s)

    def revoke(self) -> None:
        """From now on nothing of this incarnation touches the world."""
        self.transport.revoked = self.dns.revoked = self.fence.revoked = True
        self.journal.reopened()

    def _nonces(self, cluster: ClusterId) -> frozenset[str]:
        nonce = self.ledger.attempts.get(cluster)
        return frozenset({nonce} if nonce else ())

    # -- looking -------------------------------------------------------------------------------------------------------

    async def look(self, *, only: ClusterId | None = None) -> Look:
        """As `Eyes.look`."""
        started_s, timeout_s = self.site.now_s(), self.policy.timing.probe_timeout_s
        self.looks += 1
        async with asyncio.TaskGroup() as tasks:
            rounds = [
                tasks.create_task(client.probe_round(timeout_s=timeout_s))
                for client in self.clients.values()
                if only in (None, client.cluster)
            ]
        seen = [read(task.result(), self.policy.pins(task.result().cluster)) for task in rounds]
        self.watch = self.watch.observe_all(seen)
        ended_s = max(node.ended_s for node in seen)
        if only is None:
            self.looked_s = ended_s
        self.seen_s |= {cluster: ended_s for cluster in self.policy.cluster_ids if only in (None, cluster)}
        return Look(started_s=started_s, ended_s=ended_s, facts=self.assess())

    async def through_published_address(self, cluster: ClusterId) -> bool:
        """As `Eyes.through_published_address`."""
        url = f"{self.policy.cluster(cluster).address}/v1/sys/health"
        try:
            reply = await self.transport(HttpRequest(method="GET", url=url), timeout_s=1.0)
            health = parse.parse_health(reply.body)
        except (Unreachable, OutcomeUnknown, MalformedReply):
            return False
        is_own = health.cluster_id == self.policy.cluster(cluster).vault_id
        return reply.status in (200, 473) and health.dr_mode is Mode.PRIMARY and is_own

    def assess(self) -> Facts:
        """The facts now."""
        self.watch, facts = self.watch.assess(self.ledger, self._around())
        self.site.known = self.watch.known
        self.facts = facts
        return facts

    def now(self) -> Stamp:
        """Now, as the journal writes it."""
        return Stamp(at_s=self.site.now_s(), at_utc_s=self.site.wall_utc().timestamp(), boot_id=self.boot_id)

    def _around(self) -> Surroundings:
        elected = self.ledger.guarded
        partner = self.policy.partner_of(elected or EAST)
        witnesses = (WitnessSeen(name="third", sees=True, seen_s=self.site.now_s()),) if self.witness_sees else ()
        return Surroundings(
            now=self.now(),
            started_s=self.started_s,
            witnesses=witnesses,
            credentials=tuple(
                CredentialSeen(name=name, is_present=True, is_proven=(name, partner) not in self.site.denied)
                for name in self.hands.credentials()
            ),
            fences={
                cluster: FenceSeen(is_configured=not p.fence.waived, waived=p.fence.waived, answers=True)
                for cluster, p in self.policy.clusters.items()
            },
            name=self._name,
            tilt=self.tilt,
            state_unwritable=self.journal.refusal,
        )

    _name = None

    # -- deciding ------------------------------------------------------------------------------------------------------

    async def run_until_killed(self) -> None:
        """Decide once a second, and run what is decided."""
        try:
            await self._resume_or_park()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._decide_forever())
                tasks.create_task(self._run_forever())
        except* Revoked:
            pass  # it was killed

    async def _decide_forever(self) -> None:
        while True:
            await self.tick()
            await asyncio.sleep(TICK_S)

    async def tick(self) -> None:
        """Look unless somebody just did, write down what was observed, decide."""
        answers = await self.dns.authoritative()
        self._name = name_fact(answers.by_server, self.policy.dns_targets, self.ledger.elected)
        if self.site.now_s() - self.looked_s >= self.policy.timing.interval_s:
            await self.look()
        facts = self.assess()
        self._suspected = self._suspected.observe(facts)
        due = () if self.tilt else tuple(entries_due(facts, self.policy, self._suspected))
        if due:
            with suppress(NeedsOperator):
                await self.journal.append(PAIR, *due)
            facts = self.assess()
        self._take(facts, decide(facts, self.policy))

    def _take(self, facts: Facts, decision: Decision) -> None:
        self.decision = decision
        open_run_ = facts.ledger.run
        self._is_settling_first = any(
            todo.takes_the_slot and (open_run_ is None or open_run_.runbook is not todo.runbook)
            for todo in decision.todo
        )
        self._wanted = None
        if open_run_ is not None or self.stopping:
            return
        goes = next((todo for todo in decision.todo if todo.goes), None)
        if goes is None or goes.runbook is None:
            return
        if facts.now.at_s - self._begun_s.get(goes.situation, -1000.0) >= goes.again_after_s:
            self._begun_s[goes.situation] = facts.now.at_s
            self._wanted = (goes.runbook, goes.source, goes.target, goes.situation, goes.why)

    # -- running -------------------------------------------------------------------------------------------------------

    async def _run_forever(self) -> None:
        while not self.stopping:
            wanted, self._wanted = self._wanted, None
            if wanted is not None and self.ledger.run is None and not self.why_stop():
                with suppress(NeedsOperator):
                    await self.open(*wanted)
            if self.ledger.run is not None and not self.why_stop():
                await execute(self.context(self.ledger.run))
            await asyncio.sleep(TURN_S)

    async def open(
        self,
        runbook: Runbook,
        source: ClusterId,
        target: ClusterId,
        situation: str = "asked",
        why: str = "asked",
        waivers: Iterable[str] = (),
        asked_by_uid: int | None = None,
    ) -> Run:
        """Take the slot. Raises: as `open_run`."""
        wanted = Wanted(
            runbook=runbook,
            source=source,
            target=target,
            situation=situation,
            why=why,
            waivers=frozenset(waivers),
            asked_by_uid=asked_by_uid,
        )
        run = await open_run(self.journal, PAIR, wanted)
        self._ran_here.add(run.run_id)
        return run

    def context(self, run: Run) -> RunContext:
        """One execution of `run`."""
        return RunContext(
            pair=PAIR,
            run_id=run.run_id,
            policy=self.policy,
            journal=self.journal,
            eyes=self,
            hands=self.hands,
            fence=self.fence,
            dns=self.dns,
            dns_watch=self.dns,
            clock=self.site,
            notifier=self.notifier,
            stop=self.why_stop,
            settle_first=lambda: self._is_settling_first,
            on_step=self._stepped,
            is_resumed=run.run_id not in self._ran_here,
        )

    def _stepped(self, event: StepEvent) -> None:
        self.events.append(event)
        self.on_step(event)

    def why_stop(self) -> str:
        """Why a run must stop at its next safe point."""
        pause, run = self.ledger.pause, self.ledger.run
        is_giving_up = run is not None and run.abort_asked
        paused = f"paused: {pause.reason}" if pause is not None and not is_giving_up else ""
        return self.stopping or self.tilt or paused

    async def _resume_or_park(self) -> None:
        run = self.ledger.run
        if run is None or run.state is not RunState.OPEN or run.runbook is not Runbook.FAILOVER:
            return
        age_s = run.touched.age_s(self.now())
        if not run.step("promote").was_never_applied or age_s <= self.policy.timing.resume_max_age_s:
            return
        step = next((name for name, record in run.steps.items() if not record.done), "recheck")
        why = f"untouched for {age_s / 60:.0f} minutes before its point of no return"
        await self.journal.append(PAIR, RunParked(run_id=run.run_id, step=step, need=Need.STALE_RUN, why=why))


def _ways(site: Site) -> Ways:
    def source(name: str) -> SecretSource:
        return lambda: site.secret(name)

    return Ways(
        tokens={name: source(name) for name in site.setting.tokens},
        shares=tuple(source(f"share_{n}") for n in range(1, site.setting.shares + 1)),
    )
