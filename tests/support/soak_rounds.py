"""One pair's story and the probe rounds that a bastion gets to see of it: cheap, repeatable, from the lab's bodies.

Chance is drawn by the number of the round, never in a row: what is left out changes nothing of what is looked at.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from tests.support.pair import EAST, WEST
from tests.support.soak_bodies import NODES, SPEC, Bodies, bodies, placed, status_of
from watchdogd.core.model import ClusterId, ConnectionState, NodeSeen, Peer, Reading, ReplicationStatus, StreamState

INTERVAL_S, TIMEOUT_S, ANSWER_S = 3.0, 2.0, 0.02
BEAT_S = 5.0  # as the lab has it
BROKEN_AFTER_S = 25.0  # how long a channel over a black hole still says ready, as the lab has it
MASK = (1 << 64) - 1
NOBODY = 0
FOREVER_S = float("inf")


class Path(StrEnum):
    """What loses by itself. Each direction of replication is one of its own."""

    BASTION_EAST = "bastion>east"
    BASTION_WEST = "bastion>west"
    EAST_WEST = "east>west"  # WAL, and answers to heartbeats
    WEST_EAST = "west>east"  # heartbeats


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """A time in which a path loses: the bad state of a Gilbert-Elliott chain. `loss` 1 is a cut."""

    from_s: float
    to_s: float
    loss: float
    reading: Reading = Reading.SILENT  # what a lost probe reads as


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A time in which one node does not say what it should."""

    cluster: ClusterId
    n: int
    from_s: float
    to_s: float
    reading: Reading
    outlives_loss: bool = False  # it is not of the lost region: somebody else answers there, or we cannot ask


@dataclass(frozen=True, slots=True, kw_only=True)
class Active:
    """From here on node `n` of a cluster is active; NOBODY while it elects."""

    from_s: float
    n: int


def draw(key: int, number: int) -> float:
    """A chance in [0, 1) that depends on nothing but its arguments (splitmix64)."""
    z = (key + number * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return (z ^ (z >> 31)) / 2.0**64


class Losses:
    """How much one path loses, as steps in time; the worst of what overlaps."""

    def __init__(self, bursts: Iterable[Burst], drizzle: float) -> None:
        self.bursts = sorted(bursts, key=lambda burst: burst.from_s)
        self.drizzle = drizzle
        self._edges = sorted({edge for burst in self.bursts for edge in (burst.from_s, burst.to_s)})
        self._steps = [(drizzle, Reading.SILENT)] * len(self._edges)
        for burst in self.bursts:
            for index in range(bisect_right(self._edges, burst.from_s) - 1, bisect_right(self._edges, burst.to_s) - 1):
                if burst.loss > self._steps[index][0]:
                    self._steps[index] = (burst.loss, burst.reading)

    def at(self, at_s: float) -> tuple[float, Reading]:
        """The loss at one moment, and what a lost probe reads as."""
        index = bisect_right(self._edges, at_s) - 1
        return self._steps[index] if index >= 0 else (self.drizzle, Reading.SILENT)

    def is_cut(self, from_s: float, to_s: float) -> bool:
        """True when nothing at all passes from `from_s` to `to_s`."""
        edges = [from_s, *(edge for edge in self._edges if from_s < edge < to_s)]
        return all(self.at(edge)[0] >= 1.0 for edge in edges)


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """What a version of Vault shows of its link, and how busy the pair is."""

    has_peers: bool = True
    is_ready_for_ever: bool = False
    state_after: StreamState = StreamState.STREAM_WALS
    wal_per_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Everything that happens to one pair. `dies_s` is a true loss: from then on east serves nobody."""

    key: int
    phases_s: Mapping[tuple[ClusterId, int], float]
    beat_phase_s: float = 0.0
    tick_phase_s: float = 0.0
    bursts: Mapping[Path, tuple[Burst, ...]] = field(default_factory=dict)
    drizzle: Mapping[Path, float] = field(default_factory=dict)
    outages: tuple[Outage, ...] = ()
    actives: Mapping[ClusterId, tuple[Active, ...]] = field(default_factory=dict)
    restarts: tuple[tuple[float, float], ...] = ()  # of the daemon: (ends, starts again)
    dies_s: float = FOREVER_S
    dies_of: Reading = Reading.SILENT
    style: Style = Style()
    syncs_from_s: float = FOREVER_S


class Pair:
    """A story, asked about moments of it."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.bodies: Bodies = bodies()
        self.losses = {path: Losses(story.bursts.get(path, ()), story.drizzle.get(path, 0.0)) for path in Path}
        self._keys = {path: story.key ^ (index * 0x51_7C_C1_B7_27_22_0A_95) for index, path in enumerate(Path, start=1)}
        self._actives = {
            cluster: sorted(
                (Active(from_s=-FOREVER_S, n=1), *story.actives.get(cluster, ())), key=lambda active: active.from_s
            )
            for cluster in (EAST, WEST)
        }
        self._starts = {cluster: [a.from_s for a in actives] for cluster, actives in self._actives.items()}
        self._outages: dict[tuple[ClusterId, int], list[Outage]] = {}
        for outage in story.outages:
            self._outages.setdefault((outage.cluster, outage.n), []).append(outage)

    def active(self, cluster: ClusterId, at_s: float) -> Active:
        """Who is active."""
        if cluster == EAST and at_s >= self.story.dies_s:
            return Active(from_s=self.story.dies_s, n=NOBODY)
        return self._actives[cluster][bisect_right(self._starts[cluster], at_s) - 1]

    def key_of(self, path: Path) -> int:
        """What the chance of a path is drawn with."""
        return self._keys[path]

    def is_lost(self, path: Path, number: int, at_s: float) -> Reading | None:
        """What a lost message reads as; None for one that passes."""
        loss, reading = self.losses[path].at(at_s)
        if loss <= 0.0 or (loss < 1.0 and draw(self._keys[path], number) >= loss):
            return None
        return reading

    # -- rounds ------------------------------------------------------------------------------------------------------

    def started_s(self, cluster: ClusterId, n: int, k: int) -> float:
        """When round `k` of a node starts."""
        return self.story.phases_s[cluster, n] + INTERVAL_S * k

    def reading(self, cluster: ClusterId, n: int, k: int) -> Reading:
        """What round `k` of a node reads as."""
        at_s = self.started_s(cluster, n, k)
        path = Path.BASTION_EAST if cluster == EAST else Path.BASTION_WEST
        lost = self.is_lost(path, NODES * k + n, at_s)
        if lost is not None:
            return lost
        outage = next((o for o in self._outages.get((cluster, n), ()) if o.from_s <= at_s < o.to_s), None)
        is_over = cluster == EAST and at_s + ANSWER_S > self.story.dies_s
        if is_over and not (outage is not None and outage.outlives_loss):
            return self.story.dies_of
        if outage is not None:
            return outage.reading
        active = self.active(cluster, at_s)
        if active.n == NOBODY:
            return Reading.LEADERLESS
        return Reading.ACTIVE if active.n == n else Reading.FOLLOWS

    def round(self, cluster: ClusterId, n: int, k: int) -> NodeSeen:
        """Round `k` of a node, whole."""
        reading, started_s = self.reading(cluster, n, k), self.started_s(cluster, n, k)
        ended_s = started_s + (TIMEOUT_S if reading is Reading.SILENT else ANSWER_S)
        utc_s = self.bodies.utc_ahead_s + ended_s
        return placed(self._said(cluster, reading, ended_s), cluster, n, started_s, ended_s, utc_s)

    def _said(self, cluster: ClusterId, reading: Reading, at_s: float) -> NodeSeen:
        given = self.bodies
        match reading:
            case Reading.ACTIVE:
                return self._active(cluster, at_s)
            case Reading.FOLLOWS:
                return self._following(cluster, at_s)
            case Reading.LEADERLESS:
                return given.leaderless[cluster]
            case Reading.SEALED:
                return given.sealed[cluster]
            case Reading.SILENT:
                return given.silent
            case Reading.OURS | Reading.STRANGE | Reading.UNINIT:
                return replace(given.strange, reading=reading)

    def _named(self, node: NodeSeen, cluster: ClusterId, at_s: float) -> NodeSeen:
        active = self.active(cluster, at_s)
        if active.n == 1 or node.names is None:
            return node
        since = f"2026-03-01T12:{int(active.from_s // 60) % 60:02d}:{active.from_s % 60:09.6f}Z"
        names = replace(
            node.names,
            address=SPEC.api_addr(f"{cluster}/{active.n}"),
            cluster_address=SPEC.cluster_addr(f"{cluster}/{active.n}"),
            active_time=since if node.names.is_self else node.names.active_time,
        )
        return replace(node, names=names)

    def _following(self, cluster: ClusterId, at_s: float) -> NodeSeen:
        return self._named(self.bodies.follows[cluster], cluster, at_s)

    def _active(self, cluster: ClusterId, at_s: float) -> NodeSeen:
        node = self._named(self.bodies.active[cluster], cluster, at_s)
        status = self._primary(status_of(node), at_s) if cluster == EAST else self._secondary(status_of(node), at_s)
        return replace(node, status=status)

    # -- replication -------------------------------------------------------------------------------------------------

    def wal(self, at_s: float) -> int:
        """The primary's position."""
        return 1000 + int(self.story.style.wal_per_s * min(at_s, self.story.dies_s))

    def _primary(self, status: ReplicationStatus, at_s: float) -> ReplicationStatus:
        wal = self.wal(at_s)
        return replace(status, last_wal=wal, last_kind_wal=wal, merkle_root=f"root-{wal}")

    def heard_s(self, at_s: float) -> float:
        """When WAL last came: a lossy stream repeats itself, a cut one does not."""
        at_s = min(at_s, self.story.dies_s)
        losses = self.losses[Path.EAST_WEST]
        for burst in reversed(losses.bursts):
            if burst.from_s <= at_s < burst.to_s and burst.loss >= 1.0:
                at_s = burst.from_s
        return at_s

    def beat_s(self, at_s: float) -> float | None:
        """The latest heartbeat that the active node of west has had; None while it has had none."""
        since_s = max(self.active(WEST, at_s).from_s, at_s - 7200.0)
        k = int((min(at_s, self.story.dies_s) - self.story.beat_phase_s) // BEAT_S)
        while (beat_s := self.story.beat_phase_s + BEAT_S * k) >= since_s and k >= 0:
            if self._beats(k, beat_s):
                return beat_s
            k -= 1
        return None

    def _beats(self, k: int, at_s: float) -> bool:
        if at_s >= self.story.dies_s or self.active(EAST, at_s).n == NOBODY:
            return False
        return not self.is_lost(Path.WEST_EAST, k, at_s) and not self.is_lost(Path.EAST_WEST, k, at_s)

    def _secondary(self, status: ReplicationStatus, at_s: float) -> ReplicationStatus:
        style, beat_s = self.story.style, self.beat_s(at_s)
        wal = self.wal(self.heard_s(at_s))
        is_over = at_s >= self.story.dies_s
        state = style.state_after if is_over else status.state
        if at_s >= self.story.syncs_from_s:
            state = StreamState.MERKLE_SYNC
        return replace(
            status,
            state=state,
            connection_state=self._channel(at_s),
            last_remote_wal=wal,
            merkle_root=f"root-{wal}",
            peers=self._peers(status, beat_s, at_s),
        )

    def _channel(self, at_s: float) -> ConnectionState:
        if self.story.style.is_ready_for_ever:
            return ConnectionState.READY
        heard_s = self.heard_s(at_s)
        # A channel that was never up never says ready.
        if at_s - heard_s < BROKEN_AFTER_S and self.active(WEST, at_s).from_s <= heard_s:
            return ConnectionState.READY
        return ConnectionState.TRANSIENT_FAILURE

    def _peers(self, status: ReplicationStatus, beat_s: float | None, at_s: float) -> tuple[Peer, ...] | None:
        if not self.story.style.has_peers:
            return None
        if beat_s is None:
            return ()
        template = (status.peers or ())[0]
        n = self.active(EAST, beat_s).n
        age_s = int(at_s) - int(self.heard_s(at_s))  # the canary is a write, and comes with the stream
        peer = replace(
            template,
            api_address=SPEC.api_addr(f"{EAST}/{n}"),
            cluster_address=SPEC.cluster_addr(f"{EAST}/{n}"),
            last_heartbeat_utc_s=float(int(self.bodies.utc_ahead_s + beat_s)),
            canary_age_ms=1000 * age_s + 1000,
        )
        return (peer,)


class Rounds:
    """The rounds of every node of a pair, in the order in which each node's end, from any moment on."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._places = tuple((cluster, n) for cluster in (EAST, WEST) for n in range(1, NODES + 1))
        self._due: dict[tuple[ClusterId, int], int] = {}
        self._next: dict[tuple[ClusterId, int], NodeSeen] = {}

    def seek(self, at_s: float) -> None:
        """Go on with the first round of each node that starts at `at_s` or later."""
        self._next.clear()
        for cluster, n in self._places:
            self._due[cluster, n] = max(0, math.ceil((at_s - self._pair.started_s(cluster, n, 0)) / INTERVAL_S))

    def until(self, at_s: float) -> Iterator[NodeSeen]:
        """Every round that has ended by `at_s` and was not shown yet."""
        for place in self._places:
            while (seen := self._upcoming(place, at_s)) is not None and seen.ended_s <= at_s:
                del self._next[place]
                yield seen

    def _upcoming(self, place: tuple[ClusterId, int], at_s: float) -> NodeSeen | None:
        """The next round of a node; None while it has not started."""
        if place not in self._next:
            if self._pair.started_s(*place, self._due[place]) > at_s:
                return None
            self._next[place] = self._pair.round(*place, self._due[place])
            self._due[place] += 1
        return self._next[place]
