"""The table of DESIGN section 5: what is seen, and what to do about it. First match wins; the last takes the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from enum import StrEnum

from watchdogd.core.facts import AbortedRun, Debt, Ours, Side, Sight, Signature, Stream, Third
from watchdogd.core.naming import NameSeen


class Act(StrEnum):
    """What a row asks for."""

    NOTHING = "nothing"
    CONTINUE = "continue"  # a run is open: it goes on, or stays parked
    ALERT = "alert"
    PAGE = "page"
    FREEZE = "freeze"  # page, and no automation on the pair
    FAILOVER = "failover"
    SETTLE_DEBT = "settle-debt"
    CUTOVER_DNS = "cutover-dns"
    HEAL = "heal"
    ROLL_BACK = "roll-back"
    RELEASE_FENCE = "release-fence"
    LAST_PRIMARY = "last-primary"


class Phase(StrEnum):
    """The state of a pair, for people and dashboards."""

    STEADY = "steady"
    SUSPECT = "suspect"
    ACTING = "acting"
    FROZEN = "frozen"


class Told(StrEnum):
    """When people are told of a row that holds; whether, and how loud, its act says."""

    AT_ONCE = "at_once"
    TWO_ROUNDS = "two_rounds"  # it has held for two rounds that took as long as they may: no look that just failed
    WINDOW = "window"  # it has held for a window
    HALF_WINDOW = "half_window"  # a window of the evidence is half full
    BEATS_FADED = "beats_faded"  # it has held for longer than what was heard just before a loss counts as seeing
    LINK_DOWN = "link_down"  # it has held for link_down_alert


NOT_SEEN = frozenset({Side.UP, Side.SEALED, Side.LEADERLESS, Side.SUSPECT, Side.DOWN, Side.UNKNOWN})
NOT_UP = frozenset({Side.SEALED, Side.LEADERLESS, Side.SUSPECT, Side.DOWN, Side.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Row:
    """One situation. `when` names the fields of the signature it asks about and the values that match."""

    id: str
    why: str
    when: Mapping[str, frozenset[object]]
    act: Act
    phase: Phase = Phase.STEADY
    _: KW_ONLY
    phase_idle: Phase | None = None  # while what it asks for does not go: observe, a gate, a command that is waited for
    told: Told = Told.AT_ONCE
    key: str = ""  # the alarm is called so; by its id where it is empty
    brief: str = ""  # as `why`, where the phase stands beside it
    is_healthy: bool = False  # all is well: where the phase stands, nothing more is said of it
    claim: str = ""  # what is concluded once it is told; before, only what is seen is said
    says_who_sees: bool = False  # beside it stands who saw the elected cluster, and how long ago
    says_standby: bool = False  # beside it stands why there is no standby to fail over to, where there is none
    names_unread: bool = False  # it may only mean that nobody could look: each node that could not be read is named
    is_failover_blocked: bool = False  # a command may still fail over, with what it has to waive
    may_be_primary: bool = False  # the partner may be a second primary that nothing of ours can reach: a human demotes
    held_as: str = ""  # rows of one name share their time: what one has held, the next goes on with

    @property
    def hold(self) -> str:
        """What its time is counted under."""
        return self.held_as or self.id

    @property
    def alarm(self) -> str:
        """What the alarm of this row is called."""
        return self.key or self.id

    def matches(self, seen: Signature) -> bool:
        """True when every field that the row asks about has one of its values."""
        return all(getattr(seen, name) in values for name, values in self.when.items())

    def is_denied_by(self, seen: Signature) -> bool:
        """True when something that was seen contradicts the row; what could not be read contradicts nothing."""
        elected = self.when.get("elected", frozenset())
        if seen.sight is Sight.SEES and elected and elected <= NOT_UP and Sight.SEES not in self.when.get("sight", ()):
            return True
        return any(_denies(name, seen, values) for name, values in self.when.items())


# What the partner itself says, or what follows from it: while it cannot be read they say nothing.
TOLD_BY_PARTNER = frozenset({"stream", "third", "is_able", "are_gates_open"})


def _denies(name: str, seen: Signature, asked: frozenset[object]) -> bool:
    value = getattr(seen, name)
    if value in asked or (name in TOLD_BY_PARTNER and seen.partner in NOT_SEEN):
        return False
    match name:
        case "elected" | "partner":  # one that answers denies that it is not up; that we cannot read it denies nothing
            return value not in (NOT_UP if asked <= NOT_UP else NOT_SEEN)
        case "sight":
            return value is Sight.SEES
        case _:
            return value not in (Stream.UNREAD, Third.UNSURE)


def _when(**asked: object) -> Mapping[str, frozenset[object]]:
    """What a row asks about: of each field of the signature one value, or several."""
    return {name: value if isinstance(value, frozenset) else frozenset({value}) for name, value in asked.items()}


SITUATIONS: tuple[Row, ...] = (
    Row("S-01", "a run is open",
        _when(is_run_open=True),
        Act.CONTINUE, Phase.ACTING, phase_idle=Phase.FROZEN),
    Row("S-02", "no cluster was ever seen as active primary with its pins",
        _when(elected=None),
        Act.PAGE, told=Told.WINDOW, names_unread=True),
    Row("S-46", "the debtor is back with ids other than pinned",
        _when(debt=Debt.OPEN, partner=Side.WRONG),
        Act.PAGE, Phase.FROZEN),
    Row("S-05", "not the pair that the config pins",
        _when(elected=Side.WRONG),
        Act.PAGE, Phase.FROZEN, names_unread=True),
    Row("S-05", "not the pair that the config pins",
        _when(partner=Side.WRONG),
        Act.PAGE, Phase.FROZEN, names_unread=True),
    Row("S-08", "we cannot be trusted to decide now",
        _when(ours=frozenset({Ours.TILT, Ours.STATE})),
        Act.PAGE, Phase.FROZEN),
    Row("S-40", "the previous primary is back and believes that it is primary",
        _when(elected=Side.PRIMARY, partner=Side.PRIMARY, debt=Debt.OPEN, is_foreign=False),
        Act.SETTLE_DEBT, Phase.ACTING, phase_idle=Phase.FROZEN),
    Row("S-42", "the only cluster seen alive lacks the writes of the latest epoch",
        _when(elected=NOT_SEEN, partner=Side.PRIMARY, debt=Debt.OPEN),
        Act.FREEZE, Phase.FROZEN),
    Row("S-44", "the debtor answers, sealed or leaderless",
        _when(debt=Debt.OPEN, partner=frozenset({Side.SEALED, Side.LEADERLESS})),
        Act.PAGE, Phase.SUSPECT, told=Told.TWO_ROUNDS, names_unread=True),
    Row("S-44", "the debtor is up, and what its active node is cannot be read: it may be a second primary",
        _when(elected=frozenset({Side.PRIMARY, Side.UP}), partner=Side.UP, debt=Debt.OPEN, is_foreign=False),
        Act.PAGE, Phase.SUSPECT, told=Told.TWO_ROUNDS, names_unread=True, may_be_primary=True),
    Row("S-48", "two active primaries, and no entry of ours explains it",
        _when(elected=Side.PRIMARY, partner=Side.PRIMARY),
        Act.FREEZE, Phase.FROZEN),
    Row("S-50", "somebody else made the partner primary",
        _when(elected=NOT_SEEN | {Side.SECONDARY}, partner=Side.PRIMARY),
        Act.FREEZE, Phase.FROZEN),
    Row("S-54", "both are secondary and one hears a primary: a third cluster is primary",
        _when(elected=Side.SECONDARY, partner=Side.SECONDARY, third=Third.HEARD),
        Act.FREEZE, Phase.FROZEN),
    Row("S-56", "both are secondary within an hour of our aborted run: our demote landed late",
        _when(elected=Side.SECONDARY, partner=Side.SECONDARY, aborted=AbortedRun.RECENT, third=Third.NOBODY),
        Act.ROLL_BACK, Phase.ACTING, phase_idle=Phase.FROZEN),
    Row("S-58", "both are secondary, nobody hears a primary, and it was not us",
        _when(elected=Side.SECONDARY, partner=Side.SECONDARY, third=Third.NOBODY),
        Act.LAST_PRIMARY, Phase.FROZEN),
    Row("S-58", "both are secondary; whether one hears a primary cannot be told yet",
        _when(elected=Side.SECONDARY, partner=Side.SECONDARY),
        Act.ALERT, Phase.FROZEN, told=Told.WINDOW),
    Row("S-11", "a fence of ours holds on the elected primary",
        _when(elected=Side.PRIMARY, is_fence_on_elected=True),
        Act.RELEASE_FENCE, Phase.SUSPECT),
    Row("S-10", "healthy",
        _when(elected=Side.PRIMARY, partner=Side.SECONDARY, stream=Stream.STREAMING),
        Act.NOTHING, is_healthy=True),
    Row("S-12", "the secondary synchronises",
        _when(elected=Side.PRIMARY, partner=Side.SECONDARY, stream=Stream.SYNCING),
        Act.NOTHING, says_standby=True),
    Row("S-14", "the secondary has heard nothing for long while the primary is up",
        _when(elected=Side.PRIMARY, partner=Side.SECONDARY, stream=Stream.STOPPED_LONG),
        Act.HEAL, says_standby=True),
    Row("S-13", "the secondary does not stream",
        _when(elected=Side.PRIMARY, partner=Side.SECONDARY),
        Act.ALERT, told=Told.LINK_DOWN, says_standby=True),
    Row("S-16", "no protection: the secondary does not serve or cannot be read",
        _when(elected=Side.PRIMARY, partner=NOT_SEEN),
        Act.ALERT, told=Told.WINDOW),
    Row("S-17", "the elected cluster is up but no node of it could be read as active",
        _when(elected=Side.UP),
        Act.PAGE, told=Told.WINDOW),
    Row("S-20", "the elected cluster is not up for us, but somebody else sees it",
        _when(elected=NOT_UP, sight=Sight.SEES),
        Act.PAGE, Phase.SUSPECT, told=Told.BEATS_FADED, key="lost_sight", claim="we lost our path to it",
        says_who_sees=True),
    Row("S-24", "every node of the elected cluster is sealed or uninitialised",
        _when(elected=Side.SEALED),
        Act.PAGE, Phase.SUSPECT),
    Row("S-22", "could not look at the elected cluster, and nobody sees it",
        _when(elected=Side.UNKNOWN, partner=Side.SECONDARY),
        Act.PAGE, Phase.SUSPECT, told=Told.WINDOW, names_unread=True, is_failover_blocked=True, held_as="not up"),
    Row("S-26", "suspect: a window is running",
        _when(elected=Side.SUSPECT, partner=Side.SECONDARY),
        Act.ALERT, Phase.SUSPECT, told=Told.HALF_WINDOW, key="suspect", brief="a window is running", held_as="not up"),
    Row("S-26", "suspect: a window is running",
        _when(elected=Side.DOWN, partner=Side.SECONDARY, sight=Sight.RUNNING),
        Act.ALERT, Phase.SUSPECT, told=Told.HALF_WINDOW, key="suspect", brief="a window is running", held_as="not up"),
    Row("S-30", "the primary is down, the secondary hears nothing and is able",
        _when(elected=Side.DOWN, partner=Side.SECONDARY, sight=Sight.FULL, debt=Debt.NONE, is_able=True,
              are_gates_open=True),
        Act.FAILOVER, Phase.ACTING, phase_idle=Phase.SUSPECT, held_as="not up"),
    Row("S-34", "the primary is down and the secondary is not able",
        _when(elected=Side.DOWN, partner=Side.SECONDARY, is_able=False),
        Act.PAGE, Phase.SUSPECT, is_failover_blocked=True, held_as="not up"),
    Row("S-32", "the primary is down and a gate is closed",
        _when(elected=Side.DOWN, partner=Side.SECONDARY),
        Act.PAGE, Phase.SUSPECT, is_failover_blocked=True, held_as="not up"),
    Row("S-36", "blind: the elected cluster is not up and the secondary cannot be read",
        _when(elected=NOT_UP, partner=NOT_SEEN),
        Act.PAGE, Phase.SUSPECT, told=Told.WINDOW, names_unread=True, held_as="not up"),
    Row("S-99", "unclassified",
        _when(),
        Act.PAGE, Phase.FROZEN),
)  # fmt: skip


def situation_of(seen: Signature) -> Row:
    """The first row that matches."""
    return next(row for row in SITUATIONS if row.matches(seen))


@dataclass(frozen=True, slots=True, kw_only=True)
class NameRow:
    """One situation of the service name."""

    id: str
    why: str
    act: Act


NAMES: Mapping[str, NameRow] = {
    row.id: row
    for row in (
        NameRow(id="N-10", why="the name is where it belongs", act=Act.NOTHING),
        NameRow(id="N-60", why="the name publishes the partner of the elected primary", act=Act.CUTOVER_DNS),
        NameRow(id="N-62", why="the name publishes neither cluster", act=Act.ALERT),
        NameRow(id="N-64", why="the authoritative servers disagree, or none could be asked", act=Act.ALERT),
        NameRow(id="N-66", why="the elected cluster is not the one active primary: the name stays", act=Act.NOTHING),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Leftover:
    """What is cleared away beside a quiet row, once nothing else is to be done."""

    id: str
    why: str
    beside: frozenset[Act]  # the acts of the rows beside which it may go
    again_after_s: float


# A fence that outlived its debt (I11): settle-debt finds the demote done, and turns it off.
LEFT_FENCE = Leftover(
    id="S-19",
    why="the fence of {cluster} has outlived its debt",
    beside=frozenset({Act.NOTHING, Act.ALERT, Act.HEAL}),
    again_after_s=60.0,
)

# While two primaries stand the name stays: S-40 ends in seconds, S-48 wants a human.
NAME_STAYS = frozenset({"S-40", "S-48"})


def name_situation_of(seen: NameSeen, elected: Side | None, situation: str) -> NameRow:
    """What the service name needs, beside `situation` (the row that matches when an open run is left aside).

    A name only ever moves to an active primary.
    """
    match seen:
        case NameSeen.PUBLISHES_ELECTED:
            return NAMES["N-10"]
        case NameSeen.PUBLISHES_PARTNER:
            is_due = elected is Side.PRIMARY and situation not in NAME_STAYS
            return NAMES["N-60"] if is_due else NAMES["N-66"]
        case NameSeen.PUBLISHES_THIRD:
            return NAMES["N-62"]
        case NameSeen.DISAGREE | NameSeen.CANNOT_ASK:
            return NAMES["N-64"]
