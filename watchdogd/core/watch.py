"""One pair, watched: observations in, facts out. A value that is fed; the shell keeps the newest one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import Self

from watchdogd.core.facts import Facts, GateAnswer, Sight, Surroundings, Third, Window
from watchdogd.core.gates import Question, answers
from watchdogd.core.known import Known, Sighting, learn
from watchdogd.core.ledger import Ledger
from watchdogd.core.link import Hears, LinkWatch
from watchdogd.core.model import ClusterId, ClusterView, NodeAddress, NodeSeen, Reach, Reading
from watchdogd.core.policy import PairPolicy
from watchdogd.core.signature import lacks_of, sides_of, signature_of, stream_of
from watchdogd.core.streak import Streak
from watchdogd.core.views import CANNOT_LOOK, checked_against, named_as_active, sealed_counts_as_down, view_of
from watchdogd.core.windows import down_need, down_window, link_window, sight_of, up_need

FLAP_WINDOW_S = 900.0
RESET_WINDOW_S = 900.0
SEEN_DOWN_ROUNDS = 2  # one lost round is no "went down", and resets nothing worth counting


class ResetCause(StrEnum):
    """Why the evidence had to begin anew."""

    UP = "up"  # the elected cluster was seen while a window of DOWN ran
    GAP = "gap"  # it could not be looked at for longer than gap_max while a window of DOWN ran
    WE_WERE_LATE = "we_were_late"  # as GAP, and our own event loop was late
    NEW_ACTIVE_NODE = "new_active_node"  # of the secondary
    LINK_GAP = "link_gap"  # the secondary could not be read for longer than gap_max


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """One time that the evidence had to begin anew."""

    at_s: float
    cause: ResetCause


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What one tick made of the observations, before anything is asked about it."""

    views: Mapping[ClusterId, ClusterView]
    elected: ClusterView | None
    partner: ClusterView
    link: LinkWatch
    hears: Hears
    sight: Sight
    witnessed: Sighting | None
    windows: tuple[Window, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairWatch:
    """The memory of one pair between two ticks. Only `known` is durable; the rest a restart begins anew."""

    policy: PairPolicy
    known: Known = field(default_factory=Known)
    newest: Mapping[NodeAddress, NodeSeen] = field(default_factory=dict)
    rounds: Mapping[NodeAddress, int] = field(default_factory=dict)
    counted: Mapping[NodeAddress, int] = field(default_factory=dict)  # of `rounds`: part of a complete round already
    streaks: Mapping[ClusterId, Streak] = field(default_factory=dict)
    links: Mapping[ClusterId, LinkWatch] = field(default_factory=dict)  # by the cluster that listens
    named_s: Mapping[ClusterId, Mapping[str, float]] = field(
        default_factory=dict
    )  # cluster addresses, named until then
    lived: Mapping[ClusterId, Sighting] = field(default_factory=dict)  # the latest that no tick has looked at yet
    both_secondary_from_s: float | None = None
    flaps: tuple[float, ...] = ()
    resets: tuple[Reset, ...] = ()

    def observe(self, seen: NodeSeen) -> Self:
        """The watch after one more probe round of one node; one that is older than what is known hides nothing.

        Rounds of one node overlap: a look does not wait for the round that is under way. Of two that do, life counts:
        what hung over a dead connection meanwhile says nothing against it. A tick may be late: life between two of them
        counts, whatever was seen after it.
        """
        cluster = self.policy.clusters.get(seen.cluster)
        if cluster is None or seen.node not in cluster.nodes:
            return self
        lived, before = self._lived_after(seen), self.newest.get(seen.node)
        if before is not None and not _supersedes(seen, before):
            return replace(self, lived=lived)
        return replace(
            self,
            lived=lived,
            newest={**self.newest, seen.node: seen},
            rounds={**self.rounds, seen.node: self.rounds.get(seen.node, 0) + 1},
        )

    def _lived_after(self, seen: NodeSeen) -> Mapping[ClusterId, Sighting]:
        before = self.lived.get(seen.cluster)
        if not seen.is_life or (before is not None and before.at_s >= seen.ended_s):
            return self.lived
        return {**self.lived, seen.cluster: Sighting(at_s=seen.ended_s, seen_by=f"our probe of {seen.node}")}

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
        watch = self._feed_streaks(views, ledger, now_s)._feed_links(views, ledger, now_s)._feed_named(views, now_s)
        looked = watch._look(views, ledger, around)
        known = learn(
            watch.known,
            elected=looked.elected,
            partner=looked.partner,
            heard_s=looked.link.life_s,
            witnessed=looked.witnessed,
            lived=None if looked.elected is None else self.lived.get(looked.elected.cluster),
            skew_s=self.policy.timing.failure_skew_s,
            now=around.now,
            views=views.values(),
        )
        watch = replace(watch, known=known, lived={})
        return watch, watch._facts(looked, ledger, around)

    # -- one cluster -------------------------------------------------------------------------------------------------

    def _addresses(self, cluster: ClusterId, ledger: Ledger, now_s: float) -> list[NodeAddress]:
        """The nodes that count: not ignored by the config, not waived for the open run.

        What is waived is that a node cannot be read: whatever it says that is not silence counts.
        """
        waivers = ledger.run.waivers if ledger.run else frozenset()
        waived = {waiver.partition(":")[2] for waiver in waivers if waiver.startswith("node:")}
        probed = self.policy.cluster(cluster).probed_nodes
        return [address for address in probed if address not in waived or self._speaks(address, now_s)]

    def _speaks(self, address: NodeAddress, now_s: float) -> bool:
        if not self._is_fresh(address, now_s):
            return False
        node = self.newest[address]
        return node.reading not in CANNOT_LOOK | {Reading.SILENT} or bool(node.wrong_id)

    def _view(self, cluster: ClusterId, ledger: Ledger, now_s: float) -> ClusterView:
        addresses = self._addresses(cluster, ledger, now_s)
        return view_of(
            cluster,
            [self.newest[address] for address in addresses if self._is_fresh(address, now_s)],
            kind=self.policy.replication,
            expected_nodes=len(addresses),
            sealed_is_down=sealed_counts_as_down(self.policy, cluster),
            at_s=now_s,
        )

    def _is_fresh(self, address: NodeAddress, now_s: float) -> bool:
        return address in self.newest and now_s - self.newest[address].ended_s <= self.policy.timing.fresh_s

    def _stale(self, ledger: Ledger, now_s: float) -> str:
        missing = [
            address
            for cluster in self.policy.cluster_ids
            for address in self._addresses(cluster, ledger, now_s)
            if not self._is_fresh(address, now_s)
        ]
        return f"no fresh observation of {', '.join(missing)}" if missing else ""

    # -- what a tick feeds -------------------------------------------------------------------------------------------

    def _feed_streaks(self, views: Mapping[ClusterId, ClusterView], ledger: Ledger, now_s: float) -> Self:
        timing = self.policy.timing
        streaks, counted, flaps = dict(self.streaks), dict(self.counted), self.flaps
        resets = list(self.resets)
        for cluster, view in views.items():
            fresh = self._counted_after(view)
            counted |= fresh
            feed = partial(
                Streak.feed,
                at_s=now_s,
                since_s=max((node.ended_s for node in view.nodes), default=now_s),
                down=down_need(timing),
                up=up_need(timing),
                gap_max_s=timing.gap_max_s,
            )
            before = streaks.get(cluster, Streak())
            # Life that something else was seen after: the window begins anew all the same.
            lived = feed(before, Reach.UP, has_new_round=False) if cluster in self.lived else before
            streaks[cluster] = after = feed(lived, view.reach, has_new_round=bool(fresh))
            cause = _reset_cause(before, lived, view) or _reset_cause(lived, after, view)
            if cause is None or cluster != ledger.guarded:
                continue
            resets.append(Reset(at_s=now_s, cause=cause))
            if cause is ResetCause.UP and not before.is_full:
                flaps = (*flaps, now_s)
        return replace(
            self,
            streaks=streaks,
            counted=counted,
            flaps=tuple(at for at in flaps if now_s - at <= FLAP_WINDOW_S),
            resets=tuple(reset for reset in resets if now_s - reset.at_s <= RESET_WINDOW_S),
        )

    def _counted_after(self, view: ClusterView) -> Mapping[NodeAddress, int]:
        """What `counted` becomes when every node in the view has finished a round more; empty when one has not.

        A node that is one round ahead keeps it, so that jitter costs nothing; no node ever keeps more than one, so
        that a node that leaves the view lets nobody else catch up at once.
        """
        rounds = {node.node: self.rounds.get(node.node, 0) for node in view.nodes}
        counted = {address: self.counted.get(address, max(0, number - 1)) for address, number in rounds.items()}
        if not rounds or any(rounds[address] <= counted[address] for address in rounds):
            return {}
        return {address: max(counted[address] + 1, number - 1) for address, number in rounds.items()}

    def _feed_links(self, views: Mapping[ClusterId, ClusterView], ledger: Ledger, now_s: float) -> Self:
        gap_max_s = self.policy.timing.gap_max_s
        links = {
            cluster: self.links.get(cluster, LinkWatch()).observe(view, gap_max_s=gap_max_s)
            for cluster, view in views.items()
        }
        resets = self.resets
        for cluster, link in links.items():
            is_new = link.begun_by and link.begun_s != self.links.get(cluster, LinkWatch()).begun_s
            if is_new and cluster != ledger.guarded:
                cause = ResetCause.LINK_GAP if link.begun_by == "gap" else ResetCause.NEW_ACTIVE_NODE
                resets = (*resets, Reset(at_s=now_s, cause=cause))
        are_secondary = all(view.is_active_secondary for view in views.values())
        from_s = now_s if self.both_secondary_from_s is None else self.both_secondary_from_s
        return replace(self, links=links, resets=resets, both_secondary_from_s=from_s if are_secondary else None)

    def _feed_named(self, views: Mapping[ClusterId, ClusterView], now_s: float) -> Self:
        """Kept for as long as what was heard of an active node before its end counts as heard, and a round more."""
        timing = self.policy.timing
        from_s = now_s - timing.heartbeat_stale_after_s - timing.interval_s - timing.probe_timeout_s
        kept = {
            cluster: {
                **{address: at_s for address, at_s in self.named_s.get(cluster, {}).items() if at_s >= from_s},
                **dict.fromkeys(named_as_active(view) if view.is_active_primary else (), now_s),
            }
            for cluster, view in views.items()
        }
        return replace(self, named_s=kept)

    # -- what is made of it ------------------------------------------------------------------------------------------

    def _look(self, views: Mapping[ClusterId, ClusterView], ledger: Ledger, around: Surroundings) -> Looked:
        now_s, timing = around.now.at_s, self.policy.timing
        elected = views[ledger.guarded] if ledger.guarded is not None else None
        partner_id = self.policy.partner_of(ledger.guarded or self.policy.home)
        link = self.links.get(partner_id, LinkWatch())
        hears = self._hears(partner_id, now_s)
        named = self.named_s.get(elected.cluster, {}) if elected is not None else {}
        partner = checked_against(views[partner_id], elected, hears=hears is Hears.SEES, named_lately=named)
        witness = max((w for w in around.witnesses if w.sees), key=lambda w: w.life_s, default=None)
        sight = sight_of(link, hears, timing, is_witnessed=witness is not None, now_s=now_s)
        windows: tuple[Window, ...] = ()
        if elected is not None:
            streak = self.streaks.get(elected.cluster, Streak())
            windows = (
                down_window(elected, streak, timing, now_s=now_s),
                link_window(partner_id, link, sight, timing, witness=witness.name if witness else "", now_s=now_s),
            )
        return Looked(
            views={**views, partner_id: partner},
            elected=elected,
            partner=partner,
            link=link,
            hears=hears,
            sight=sight,
            witnessed=None if witness is None else Sighting(at_s=witness.life_s, seen_by=f"witness {witness.name}"),
            windows=windows,
        )

    def _hears(self, listener: ClusterId, now_s: float) -> Hears:
        link = self.links.get(listener, LinkWatch())
        timing = self.policy.timing
        return link.verdict(now_s=now_s, stale_after_s=timing.heartbeat_stale_after_s, fresh_s=timing.fresh_s)

    def _third(self, now_s: float) -> Third:
        """Whether one of two secondaries hears a primary; what was heard before both were secondary does not count."""
        if self.both_secondary_from_s is None:
            return Third.NOBODY
        timing = self.policy.timing
        from_s = self.both_secondary_from_s + timing.interval_s + timing.probe_timeout_s
        advances = (self.links.get(cluster, LinkWatch()).last_advance_s for cluster in self.policy.cluster_ids)
        if any(at is not None and at > from_s and now_s - at <= timing.heartbeat_stale_after_s for at in advances):
            return Third.HEARD
        return Third.NOBODY if now_s > from_s + timing.heartbeat_stale_after_s else Third.UNSURE

    def _gates(
        self, looked: Looked, lacks: tuple[str, ...], ledger: Ledger, around: Surroundings
    ) -> tuple[GateAnswer, ...]:
        return answers(
            Question(
                policy=self.policy,
                ledger=ledger,
                elected=looked.elected,
                partner=looked.partner,
                link=looked.link,
                hears=looked.hears,
                sight=looked.sight,
                windows=looked.windows,
                known=self.known,
                around=around,
                stale=self._stale(ledger, around.now.at_s),
                lacks=lacks,
            )
        )

    def _facts(self, looked: Looked, ledger: Ledger, around: Surroundings) -> Facts:
        now_s, elected = around.now.at_s, looked.elected
        is_up = elected is not None and self.streaks.get(elected.cluster, Streak()).is_held(Reach.UP)
        lacks = lacks_of(looked.partner, self.known, ledger, self.policy)
        gates = self._gates(looked, lacks, ledger, around)
        sides = sides_of(elected, looked.partner, self.streaks)
        stream = stream_of(looked.partner, looked.hears, looked.link, is_up, self.policy, now_s)
        return Facts(
            pair=self.policy.pair,
            now=around.now,
            ledger=ledger,
            elected=elected,
            partner=looked.partner,
            elected_side=sides.elected,
            partner_side=sides.partner,
            hears=looked.hears,
            sight=looked.sight,
            stream=stream,
            windows=looked.windows,
            known=self.known,
            lacks=lacks,
            gates=gates,
            name=around.name,
            signature=signature_of(
                sides=sides,
                sight=looked.sight,
                stream=stream,
                ledger=ledger,
                around=around,
                lacks=lacks,
                gates=gates,
                third=self._third(now_s),
                primary_at=self.known.primary_at,
            ),
            flaps=len(self.flaps),
            resets=Counter(reset.cause.value for reset in self.resets),
            views=looked.views,
        )


def _supersedes(seen: NodeSeen, before: NodeSeen) -> bool:
    """True when `seen` speaks of a later moment than `before`, or is life seen while `before` was under way."""
    if seen.is_life is before.is_life:
        return seen.ended_s >= before.ended_s
    return seen.ended_s >= before.started_s if seen.is_life else seen.started_s >= before.ended_s


def _reset_cause(before: Streak, after: Streak, view: ClusterView) -> ResetCause | None:
    """Why a window of DOWN began anew; None when it did not, or had hardly begun."""
    if before.candidate is not Reach.DOWN or after.candidate is Reach.DOWN or before.rounds < SEEN_DOWN_ROUNDS:
        return None
    if after.candidate is Reach.UP:
        return ResetCause.UP
    return ResetCause.WE_WERE_LATE if any(node.we_were_late for node in view.unsure) else ResetCause.GAP
