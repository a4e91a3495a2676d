"""One pair, watched: observations in, facts out. A value that is fed; the shell keeps the newest one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from watchdogd.core.facts import Facts, Sight, Surroundings, Window
from watchdogd.core.gates import Question, answers
from watchdogd.core.known import Known, learn
from watchdogd.core.ledger import Ledger
from watchdogd.core.link import Hears, LinkWatch
from watchdogd.core.model import ClusterId, ClusterView, NodeAddress, NodeSeen, Reach
from watchdogd.core.policy import PairPolicy
from watchdogd.core.signature import Sides, lacks_of, sides_of, signature_of, stream_of
from watchdogd.core.streak import Need, Streak
from watchdogd.core.views import view_of

FLAP_WINDOW_S = 900.0
RESET_WINDOW_S = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """One time that the evidence had to begin anew."""

    at_s: float
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PairWatch:
    """The memory of one pair between two ticks. Only `known` is durable; the rest a restart begins anew."""

    policy: PairPolicy
    known: Known = field(default_factory=Known)
    newest: Mapping[NodeAddress, NodeSeen] = field(default_factory=dict)
    rounds: Mapping[NodeAddress, int] = field(default_factory=dict)
    rounds_fed: Mapping[ClusterId, int] = field(default_factory=dict)
    streaks: Mapping[ClusterId, Streak] = field(default_factory=dict)
    links: Mapping[ClusterId, LinkWatch] = field(default_factory=dict)  # by the cluster that listens
    flaps: tuple[float, ...] = ()
    resets: tuple[Reset, ...] = ()

    def observe(self, seen: NodeSeen) -> Self:
        """The watch after one more probe round of one node."""
        rounds = {**self.rounds, seen.node: self.rounds.get(seen.node, 0) + 1}
        return replace(self, newest={**self.newest, seen.node: seen}, rounds=rounds)

    def observe_all(self, seen: Iterable[NodeSeen]) -> Self:
        """The watch after several rounds."""
        watch = self
        for node in seen:
            watch = watch.observe(node)
        return watch

    def assess(self, ledger: Ledger, around: Surroundings) -> tuple[Self, Facts]:
        """Look at everything at once: the watch after this tick, and its facts."""
        now_s = around.now.at_s
        views = {cluster: self._view(cluster, ledger, now_s) for cluster in self.policy.cluster_ids}
        watch = self._feed(views, ledger, around)
        elected_id = ledger.guarded
        partner_id = self.policy.partner_of(elected_id) if elected_id else self.policy.partner_of(self.policy.home)
        elected = views[elected_id] if elected_id else None
        link = watch.links.get(partner_id, LinkWatch())
        hears = watch._hears(partner_id, now_s)
        sight = watch._sight(link, hears, around)
        witnessed = next((f"witness {w.name}" for w in around.witnesses if w.sees), "")
        known = learn(
            watch.known, elected=elected, partner=views[partner_id], hears=hears, witnessed=witnessed, now=around.now
        )
        watch = replace(watch, known=known)
        windows = watch._windows(elected_id, partner_id, link, sight, now_s)
        partner = views[partner_id]
        lacks = lacks_of(partner, known, ledger, self.policy)
        gates = answers(
            Question(
                policy=self.policy,
                ledger=ledger,
                elected=elected,
                partner=partner,
                sight=sight,
                windows=windows,
                known=known,
                around=around,
                stale=watch._stale(now_s),
                lacks=lacks,
            )
        )
        sides = sides_of(elected, partner, watch.streaks, self.policy, known)
        stream = stream_of(partner, hears, link, watch._is_up_believed(elected_id), self.policy, now_s)
        facts = Facts(
            pair=self.policy.pair,
            now=around.now,
            ledger=ledger,
            elected=elected,
            partner=partner,
            elected_side=sides.elected,
            partner_side=sides.partner,
            hears=hears,
            sight=sight,
            stream=stream,
            windows=windows,
            known=known,
            lacks=lacks,
            gates=gates,
            name=around.name,
            signature=signature_of(
                sides=Sides(elected=sides.elected, partner=sides.partner),
                sight=sight,
                stream=stream,
                ledger=ledger,
                around=around,
                lacks=lacks,
                gates=gates,
                hears_a_primary=watch._two_secondaries_hear(views, now_s),
            ),
            flaps=len(watch.flaps),
        )
        return watch, facts

    # -- one cluster -------------------------------------------------------------------------------------------------

    def _view(self, cluster: ClusterId, ledger: Ledger, now_s: float) -> ClusterView:
        waived = {w.partition(":")[2] for w in (ledger.run.waivers if ledger.run else ()) if w.startswith("node:")}
        addresses = [a for a in self.policy.cluster(cluster).probed_nodes if a not in waived]
        fresh = [
            self.newest[a] for a in addresses if a in self.newest and now_s - self.newest[a].ended_s <= self.fresh_s
        ]
        return view_of(
            cluster,
            fresh,
            kind=self.policy.replication,
            expected_nodes=len(addresses),
            sealed_is_down=self.policy.sealed_is_down,
            at_s=now_s,
        )

    @property
    def fresh_s(self) -> float:
        """How old an observation may be and still speak of now: two rounds that took as long as they may."""
        return 2 * (self.policy.timing.interval_s + self.policy.timing.probe_timeout_s)

    def _feed(self, views: Mapping[ClusterId, ClusterView], ledger: Ledger, around: Surroundings) -> Self:
        now_s, timing = around.now.at_s, self.policy.timing
        streaks, rounds_fed = dict(self.streaks), dict(self.rounds_fed)
        resets = [reset for reset in self.resets if now_s - reset.at_s <= RESET_WINDOW_S]
        flaps = tuple(at for at in self.flaps if now_s - at <= FLAP_WINDOW_S)
        for cluster, view in views.items():
            rounds = self._complete_rounds(view)
            before = streaks.get(cluster, Streak())
            after = before.feed(
                view.reach,
                at_s=now_s,
                new_rounds=max(0, rounds - rounds_fed.get(cluster, 0)),
                down=self.down_need,
                up=self.up_need,
                gap_max_s=timing.gap_max_s,
            )
            if cause := _reset_cause(before, after):
                resets.append(Reset(at_s=now_s, cause=f"{cluster}:{cause}"))
                if cluster == ledger.guarded and cause == "up":
                    flaps = (*flaps, now_s)
            streaks[cluster], rounds_fed[cluster] = after, rounds
        links = {
            cluster: self.links.get(cluster, LinkWatch()).observe(view, gap_max_s=timing.gap_max_s)
            for cluster, view in views.items()
        }
        return replace(self, streaks=streaks, rounds_fed=rounds_fed, links=links, resets=tuple(resets), flaps=flaps)

    def _complete_rounds(self, view: ClusterView) -> int:
        """Rounds that every node in the view has finished; a node that was never probed has finished none."""
        return min((self.rounds.get(node.node, 0) for node in view.nodes), default=0)

    @property
    def down_need(self) -> Need:
        """What it takes to believe DOWN."""
        return Need(after_s=self.policy.timing.down_after_s, rounds=self.policy.timing.down_rounds)

    @property
    def up_need(self) -> Need:
        """What it takes to believe UP."""
        return Need(after_s=self.policy.timing.up_after_s, rounds=self.policy.timing.up_rounds)

    def _is_up_believed(self, cluster: ClusterId | None) -> bool:
        return cluster is not None and self.streaks.get(cluster, Streak()).belief is Reach.UP

    def _stale(self, now_s: float) -> str:
        missing = [
            address
            for cluster in self.policy.cluster_ids
            for address in self.policy.cluster(cluster).probed_nodes
            if address not in self.newest or now_s - self.newest[address].ended_s > self.fresh_s
        ]
        return f"no fresh observation of {', '.join(missing)}" if missing else ""

    # -- the witnesses -----------------------------------------------------------------------------------------------

    def _hears(self, listener: ClusterId, now_s: float) -> Hears:
        link = self.links.get(listener, LinkWatch())
        return link.verdict(now_s=now_s, stale_after_s=self.policy.timing.heartbeat_stale_after_s, fresh_s=self.fresh_s)

    def _sight(self, link: LinkWatch, hears: Hears, around: Surroundings) -> Sight:
        if hears is Hears.SEES or any(witness.sees for witness in around.witnesses):
            return Sight.SEES
        if hears is Hears.BLIND:
            return Sight.BLIND
        if hears is Hears.HEARS_NOTHING and around.now.at_s >= self._link_full_at_s(link):
            return Sight.FULL
        return Sight.RUNNING

    def _link_full_at_s(self, link: LinkWatch) -> float:
        timing = self.policy.timing
        return link.counted_from_s + link.window_s(
            down_after_s=timing.down_after_s, stale_link_hold_s=timing.stale_link_hold_s
        )

    def _two_secondaries_hear(self, views: Mapping[ClusterId, ClusterView], now_s: float) -> bool:
        if not all(view.is_active_secondary for view in views.values()):
            return False
        return any(self._hears(cluster, now_s) is Hears.SEES for cluster in views)

    # -- windows -----------------------------------------------------------------------------------------------------

    def _windows(
        self, elected: ClusterId | None, partner: ClusterId, link: LinkWatch, sight: Sight, now_s: float
    ) -> tuple[Window, ...]:
        if elected is None:
            return ()
        return (self._down_window(elected, now_s), self._link_window(partner, link, sight, now_s))

    def _down_window(self, elected: ClusterId, now_s: float) -> Window:
        streak = self.streaks.get(elected, Streak())
        is_running = streak.candidate is Reach.DOWN
        progress = streak.progress(self.down_need) if is_running else 0.0
        missing_s = max(
            self.down_need.after_s - streak.held_s,
            (self.down_need.rounds - streak.rounds) * self.policy.timing.interval_s,
            0.0,
        )
        is_full = streak.belief is Reach.DOWN and is_running
        why = f"{elected} not serving for {streak.held_s:.0f} of {self.down_need.after_s:.0f} s, "
        why += f"{streak.rounds} of {self.down_need.rounds} rounds"
        if not is_running:
            why = f"{elected} is not seen to be down"
        return Window(
            name="down",
            is_full=is_full,
            progress=1.0 if is_full else progress,
            full_at_s=now_s + missing_s if is_running else None,
            why=why,
        )

    def _link_window(self, partner: ClusterId, link: LinkWatch, sight: Sight, now_s: float) -> Window:
        full_at_s = self._link_full_at_s(link)
        whole_s = max(full_at_s - link.counted_from_s, 1.0)
        quiet_s = max(0.0, now_s - link.counted_from_s)
        # A blind secondary has a gate of its own; its window is not what is missing.
        is_full = sight in (Sight.FULL, Sight.BLIND)
        why = f"{partner} has heard nothing for {quiet_s:.0f} of {whole_s:.0f} s"
        if sight is Sight.SEES:
            why = "somebody sees the primary"
        return Window(
            name="link",
            is_full=is_full,
            progress=1.0 if is_full else min(1.0, quiet_s / whole_s) if sight is Sight.RUNNING else 0.0,
            full_at_s=full_at_s if sight is Sight.RUNNING else None,
            why=why,
        )


def _reset_cause(before: Streak, after: Streak) -> str:
    """Why a running DOWN window began anew; empty when it did not."""
    if before.candidate is not Reach.DOWN or after.candidate is Reach.DOWN:
        return ""
    return "up" if after.candidate is Reach.UP else "gap"
