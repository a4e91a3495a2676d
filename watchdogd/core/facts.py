"""Both clusters together: what the situation table is asked about, and everything that people see of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from watchdogd.core.entries import Stamp
from watchdogd.core.known import Known
from watchdogd.core.ledger import Ledger
from watchdogd.core.link import Hears
from watchdogd.core.model import ClusterId, ClusterView, PairId, Reach
from watchdogd.core.naming import NameFact


class Side(StrEnum):
    """One cluster of the pair, as the situation table asks about it."""

    WRONG = "wrong"  # ids not as pinned, replication disabled, Community Edition
    PRIMARY = "primary"  # its own active node says so
    SECONDARY = "secondary"  # its own active node says so: readable
    UP = "up"  # answers, but no node of it that we can read as active
    SEALED = "sealed"  # every node sealed or uninitialised, and that does not count as down
    LEADERLESS = "leaderless"  # answers, serves nobody
    SUSPECT = "suspect"  # not serving, the window not yet full
    DOWN = "down"  # not serving for the window
    UNKNOWN = "unknown"  # could not look


class Sight(StrEnum):
    """What the secondary and the other witnesses say about the elected cluster."""

    SEES = "sees"
    RUNNING = "running"  # nothing moves, the window not yet full
    FULL = "full"  # nothing has moved for the whole window
    BLIND = "blind"


class Stream(StrEnum):
    """How replication goes, as far as the secondary shows it."""

    STREAMING = "streaming"
    SYNCING = "syncing"
    STOPPED = "stopped"
    STOPPED_LONG = "stopped_long"  # longer than link_down_heal, with the primary UP for a window
    UNREAD = "unread"


class Debt(StrEnum):
    """Whether the partner owes its demotion."""

    NONE = "none"
    OPEN = "open"


class Ours(StrEnum):
    """Whether we ourselves may be trusted to decide."""

    FIT = "fit"
    TILT = "tilt"
    STATE = "state"  # the journal cannot be written


class Third(StrEnum):
    """Of two secondaries: whether one of them hears a primary, which then is a third cluster."""

    HEARD = "heard"
    UNSURE = "unsure"  # both are secondary, but not for long enough to tell
    NOBODY = "nobody"


class AbortedRun(StrEnum):
    """Whether a run of ours was aborted within the last hour after it may have demoted."""

    NONE = "none"
    RECENT = "recent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Exactly what the rows of the situation table ask about. The exhaustive test walks its product.

    Only the elected side is ever SUSPECT, only the partner's ever LEADERLESS: what serves nobody counts towards DOWN
    for the one, and is told apart for the other.
    """

    elected: Side | None  # None: nobody elected yet
    partner: Side
    sight: Sight
    stream: Stream
    debt: Debt
    is_foreign: bool
    is_run_open: bool
    ours: Ours
    aborted: AbortedRun
    is_fence_on_elected: bool
    is_able: bool
    are_gates_open: bool
    third: Third


@dataclass(frozen=True, slots=True, kw_only=True)
class GateAnswer:
    """What one gate says. Every gate answers every time."""

    gate: str
    is_open: bool
    why: str
    waivable: bool = False
    until_s: float | None = None  # when it is expected to open, on our clock


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorSeen:
    """One anchor of the self-check; `is_reachable` None while it was not asked yet."""

    address: str
    place: str  # "own", "neutral" or "near:CLUSTER"
    is_reachable: bool | None
    seen_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessSeen:
    """One configured witness. `sees` vetoes; nothing is nothing.

    `seen_s` is when it answered, `alive_s` the moment that its answer speaks of where that is an earlier one.
    """

    name: str
    sees: bool
    why: str = ""
    seen_s: float = 0.0
    alive_s: float | None = None

    @property
    def life_s(self) -> float:
        """The latest moment at which a witness that sees knows the cluster to have lived."""
        return self.seen_s if self.alive_s is None else self.alive_s


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialSeen:
    """One credential and its durable proof; its expiry is judged by the clock of the cluster that will judge it."""

    name: str
    is_present: bool
    is_proven: bool
    expires_utc_s: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FenceSeen:
    """The fence of one cluster: configured and answering, or waived by name."""

    is_configured: bool
    waived: str = ""
    answers: bool | None = None  # None: not asked yet
    why: str = ""
    blocks_on_failure: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the shell tells the core besides probes."""

    now: Stamp
    started_s: float
    anchors: tuple[AnchorSeen, ...] = ()
    witnesses: tuple[WitnessSeen, ...] = ()
    credentials: tuple[CredentialSeen, ...] = ()
    fences: Mapping[ClusterId, FenceSeen] = field(default_factory=dict)
    name: NameFact | None = None
    provider_why: str | None = None  # why the name could not be moved now; empty: the provider answers; None: unknown
    tilt: str = ""
    tilt_until_s: float = 0.0
    state_unwritable: str = ""  # the sentence, or empty


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One window of the evidence: what is still missing."""

    name: str
    is_full: bool
    progress: float
    full_at_s: float | None  # when it will be full if nothing changes
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything known about a pair at one tick. Decided once, shown everywhere."""

    pair: PairId
    now: Stamp
    ledger: Ledger
    elected: ClusterView | None  # while a failover has not shown its effect yet: still the cluster that it leaves
    partner: ClusterView
    elected_side: Side | None
    partner_side: Side
    hears: Hears
    sight: Sight
    stream: Stream
    windows: tuple[Window, ...]
    known: Known
    lacks: tuple[str, ...]  # what the partner lacks to be promoted; empty = able
    gates: tuple[GateAnswer, ...]
    name: NameFact | None
    signature: Signature
    flaps: int  # times that the elected cluster went down and up again within 15 minutes, no window filled
    resets: Mapping[str, int] = field(default_factory=dict)  # of the evidence within 15 minutes, by cause
    views: Mapping[ClusterId, ClusterView] = field(default_factory=dict)  # both clusters, also with nobody elected

    @property
    def has_outage(self) -> bool:
        """True while the elected cluster is not up, as far as anybody can see."""
        return self.elected is not None and self.elected.reach is not Reach.UP

    def view(self, cluster: ClusterId) -> ClusterView:
        """The view of one of the two clusters."""
        if self.elected is not None and self.elected.cluster == cluster:
            return self.elected
        return self.partner if cluster == self.partner.cluster else self.views.get(cluster, self.partner)

    def side(self, cluster: ClusterId) -> Side:
        """The side of one of the two clusters."""
        if self.elected is not None and self.elected.cluster == cluster and self.elected_side is not None:
            return self.elected_side
        if cluster == self.partner.cluster:
            return self.partner_side
        # With nobody elected the table asks about the partner only; the one beside it is still shown to people.
        return answering_side(self.view(cluster)) or Side.UNKNOWN

    def closed_gates(self, waivers: frozenset[str] = frozenset()) -> tuple[GateAnswer, ...]:
        """Every gate that blocks, but those waived by name."""
        return tuple(g for g in self.gates if not g.is_open and not (g.waivable and g.gate in waivers))


def answering_side(view: ClusterView) -> Side | None:
    """The side of a cluster that answers; None where it takes more than this look to say."""
    if view.wrong:
        return Side.WRONG
    if view.is_active_primary:
        return Side.PRIMARY
    if view.is_active_secondary:
        return Side.SECONDARY
    return Side.UP if view.reach is Reach.UP else None
