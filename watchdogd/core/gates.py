"""The gates of a failover: reasons not to act. They fail closed, and all of them answer every time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from watchdogd.core.commands import Command
from watchdogd.core.facts import CredentialSeen, FenceSeen, GateAnswer, Sight, Surroundings, Window
from watchdogd.core.known import Known, is_within_age
from watchdogd.core.ledger import Ledger
from watchdogd.core.link import Hears, LinkWatch
from watchdogd.core.model import ClusterId, ClusterView, Reach, Reading, StreamState
from watchdogd.core.policy import Level, PairPolicy
from watchdogd.core.views import CANNOT_LOOK

OWN, NEUTRAL = "own", "neutral"

# DESIGN section 9. `node` and `witness` carry a name behind a colon. `version` and `cooldown` are asked of other
# procedures than failover: an older target is only a warning here.
WAIVABLE = frozenset(
    {
        "window", "secondary-blind", "secondary-sees", "anchors", "witness", "node", "loss", "version", "licence",
        "proof", "fence", "cooldown", "ack", "sync-state",
    }
)  # fmt: skip
NAMED = frozenset({"node", "witness"})  # `node:ADDRESS`, `witness:NAME`: each is a gate of its own
# Closed while the primary is alive, or the choice of the config: they do not make a failover less possible.
ASKED_LATER = frozenset({"window", "secondary-sees", "secondary-blind", "level"})
WAITING_TIME = "window"  # its waiver covers the cold start, and nothing else
COVERED_BY_WINDOW = "cold-start"
OPENED_BY_TIME = frozenset({WAITING_TIME, COVERED_BY_WINDOW, "secondary-blind"})  # see `opens_by_time`
UNDER_A_FENCE = "secondary-sees"
OVERRULED_BY_COMMAND = "level"


def opens_by_time(gate: str, until_s: object) -> bool:
    """True for a closed gate that waits for time alone: it says until when, in whatever form."""
    return gate in OPENED_BY_TIME and until_s is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Everything that a gate may look at."""

    policy: PairPolicy
    ledger: Ledger
    elected: ClusterView | None
    partner: ClusterView
    link: LinkWatch
    hears: Hears
    sight: Sight
    windows: tuple[Window, ...]
    known: Known
    around: Surroundings
    stale: str
    lacks: tuple[str, ...]


def is_waivable(gate: str) -> bool:
    """True when an operator may waive `gate` by its name; nodes and witnesses one by one, by theirs."""
    kind, _, which = gate.partition(":")
    return bool(which) if kind in NAMED else gate in WAIVABLE


def answers(question: Question) -> tuple[GateAnswer, ...]:
    """What every gate says, open ones too."""
    found = [
        GateAnswer(
            gate=name,
            is_open=not why,
            why=why or "open",
            waivable=is_waivable(name),
            until_s=until(question) if why else None,
        )
        for name, (ask, until) in GATES.items()
        for why in [ask(question)]
    ]
    return (*found, *_nodes(question), *_witnesses(question))


def without(
    closed: tuple[GateAnswer, ...], waivers: frozenset[str], *, is_fenced: bool = False
) -> tuple[GateAnswer, ...]:
    """What still blocks a command that waives `waivers` by name; `level` never blocks a command.

    What has no waiver blocks, whatever was asked for. `secondary-sees` may only be waived when `is_fenced`: a fence of
    the elected cluster was verified in this very run.
    """
    granted = {name for name in waivers if is_waivable(name) and (is_fenced or name != UNDER_A_FENCE)}
    covered = granted | ({COVERED_BY_WINDOW} if WAITING_TIME in granted else set()) | {OVERRULED_BY_COMMAND}
    return tuple(gate for gate in closed if gate.gate not in covered)


def _never(question: Question) -> float | None:
    return None


def _level(question: Question) -> str:
    if question.ledger.hold:
        return (
            f"held at approve: {question.ledger.hold}; `{Command.ACK}` it, or it ends when the primary was seen up once"
        )
    if question.ledger.foreign:
        return f"held at approve: {question.ledger.foreign}; `{Command.ADOPT}` says which cluster counts"
    level = question.policy.failover_level(question.elected.cluster if question.elected else None)
    if level is Level.AUTO:
        return ""
    if level is Level.APPROVE:
        capped = ", as auto has nothing that tells a dead primary from a partition here"
        because = capped if question.policy.levels.failover is Level.AUTO else ""
        return f"failover = {level}: it waits for a command{because}"
    return f"failover = {level}: it only says what it would do"


def _paused(question: Question) -> str:
    pause = question.ledger.pause
    return f"paused: {pause.reason}" if pause is not None else ""


def _tilt(question: Question) -> str:
    return question.around.tilt


def _tilt_until(question: Question) -> float | None:
    return question.around.tilt_until_s if question.around.tilt else None


def _stale(question: Question) -> str:
    return question.stale


def _cold_start_until(question: Question) -> float | None:
    return question.around.started_s + question.policy.timing.cold_start_s


def _cold_start(question: Question) -> str:
    left_s = question.around.started_s + question.policy.timing.cold_start_s - question.around.now.at_s
    return f"the daemon has looked for too short a time, {left_s:.0f} s to go" if left_s > 0 else ""


def _self_check(question: Question) -> str:
    return "" if question.partner.active is not None else f"no active node of {question.partner.cluster} was reached"


def _anchors(question: Question) -> str:
    asked = [a for a in question.around.anchors if a.place in (OWN, NEUTRAL)]
    if not asked:
        return ""
    reached = [a for a in asked if a.is_reachable]
    if 2 * len(reached) <= len(asked):
        return f"only {len(reached)} of {len(asked)} anchors reached: it may be us who are cut off"
    if not any(a.place == NEUTRAL for a in reached):
        return "no anchor outside our own region reached"
    return ""


def _window(question: Question) -> str:
    return "; ".join(window.why for window in question.windows if not window.is_full)


def _window_until(question: Question) -> float | None:
    ends = [window.full_at_s for window in question.windows if not window.is_full]
    return None if not ends or None in ends else max(end for end in ends if end is not None)


def _secondary_blind(question: Question) -> str:
    if question.sight is Sight.BLIND:
        return f"{question.partner.cluster} cannot say whether it hears the primary"
    if question.hears is Hears.QUIET:  # who waives the waiting time waives no veto that is yet to be seen
        return f"{question.partner.cluster} was compared with itself for too short a time to say whether it hears it"
    return ""


def _secondary_blind_until(question: Question) -> float | None:
    if question.hears is not Hears.QUIET:
        return None
    return question.link.counted_from_s + question.policy.timing.heartbeat_stale_after_s


def _secondary_sees(question: Question) -> str:
    return f"{question.partner.cluster} or a witness sees the primary" if question.sight is Sight.SEES else ""


def _blind(question: Question) -> str:
    views = [view for view in (question.elected, question.partner) if view is not None]
    if all(node.reading in (Reading.OURS, Reading.STRANGE) for view in views for node in view.nodes):
        return "no cluster could be read"
    return ""


def _able(question: Question) -> str:
    return "; ".join(question.lacks)


def _sync_state(question: Question) -> str:
    known, timing = question.known, question.policy.timing
    if known.state is not StreamState.STREAM_WALS:
        return f"last known state of {question.partner.cluster} is {known.state}"
    is_known = is_within_age(
        known.state_at, known.life, max_age_s=timing.last_known_max_age_s, skew_s=timing.failure_skew_s
    )
    return "" if is_known else "no state of the secondary is known from when the primary lived"


def _loss(question: Question) -> str:
    loss, policy = question.known.loss, question.policy
    timing = policy.timing
    if not is_within_age(
        question.known.loss_at,
        question.known.life,
        max_age_s=timing.last_known_max_age_s,
        skew_s=timing.failure_skew_s,
    ):
        return "the loss cannot be estimated: no positions are known from when the primary lived"
    if loss.seconds is not None:
        return (
            ""
            if loss.seconds <= policy.max_loss_s
            else f"estimated loss {loss.seconds:.0f} s > {policy.max_loss_s:.0f} s"
        )
    if loss.wal is not None:
        return "" if loss.wal <= policy.max_loss_wal else f"estimated loss {loss.wal} WAL > {policy.max_loss_wal}"
    return "the loss cannot be estimated"


def _licence(question: Question) -> str:
    node = question.partner.active
    if node is None or node.health is None or node.health.license is None:
        return ""
    return f"the licence of {question.partner.cluster} is terminated" if node.health.license.terminated else ""


def _usable(question: Question) -> list[CredentialSeen]:
    return [credential for credential in question.around.credentials if credential.is_present]


def _no_credential(question: Question) -> str:
    return "" if _usable(question) else "no credential to promote with can be read"


def _proof(question: Question) -> str:
    usable = _usable(question)
    if not usable or any(credential.is_proven for credential in usable):
        return ""
    return "; ".join(f"{credential.name}: {credential.why or 'never proven'}" for credential in usable)


def _fence_of(question: Question) -> FenceSeen | None:
    cluster: ClusterId | None = question.elected.cluster if question.elected else None
    return question.around.fences.get(cluster) if cluster else None


def _fence(question: Question) -> str:
    if question.elected is None:
        return "no cluster is elected yet, so there is none to fence"
    fence = _fence_of(question)
    if fence is None or (not fence.is_configured and not fence.waived):
        return "no fence is configured and none is waived"
    if fence.waived or fence.answers:
        return ""
    return f"the fence's check does not answer: {fence.why or 'not asked yet'}"


def _ack(question: Question) -> str:
    asked = question.ledger.ack_asked_by
    return f"the automatic failover {asked} was not acknowledged yet" if asked else ""


def _slot(question: Question) -> str:
    run = question.ledger.run
    return f"{run.runbook} {run.run_id} holds the slot" if run is not None else ""


def _state(question: Question) -> str:
    return question.around.state_unwritable


def _ids(question: Question) -> str:
    clusters = [view.cluster for view in (question.elected, question.partner) if view is not None]
    missing = [cluster for cluster in clusters if cluster not in question.known.confirmed]
    return f"the pinned ids of {', '.join(missing)} were never seen" if missing else ""


def _unseen_primary(question: Question) -> str:
    if question.elected is None:
        return "no cluster was ever seen as active primary"
    if question.elected.cluster in question.known.seen_primary:
        return ""
    return f"{question.elected.cluster} was never seen alive as primary with its pins"


Ask = Callable[[Question], str]
Until = Callable[[Question], float | None]

GATES: Mapping[str, tuple[Ask, Until]] = {
    "level": (_level, _never),
    "paused": (_paused, _never),
    "tilt": (_tilt, _tilt_until),
    "stale": (_stale, _never),
    "cold-start": (_cold_start, _cold_start_until),
    "self-check": (_self_check, _never),
    "anchors": (_anchors, _never),
    "window": (_window, _window_until),
    "secondary-blind": (_secondary_blind, _secondary_blind_until),
    "secondary-sees": (_secondary_sees, _never),
    "blind": (_blind, _never),
    "secondary-not-able": (_able, _never),
    "sync-state": (_sync_state, _never),
    "loss": (_loss, _never),
    "licence": (_licence, _never),
    "no-credential": (_no_credential, _never),
    "proof": (_proof, _never),
    "fence": (_fence, _never),
    "ack": (_ack, _never),
    "slot": (_slot, _never),
    "state": (_state, _never),
    "ids": (_ids, _never),
    "unseen-primary": (_unseen_primary, _never),
}


def _nodes(question: Question) -> tuple[GateAnswer, ...]:
    if question.elected is None:
        return ()
    is_unsure = question.elected.reach is Reach.UNKNOWN
    return tuple(
        GateAnswer(
            gate=f"node:{node.node}",
            is_open=not (is_unsure and node.reading in CANNOT_LOOK),
            why=f"{node.reading}: {node.why}",
            waivable=True,
        )
        for node in question.elected.nodes
    )


def _witnesses(question: Question) -> tuple[GateAnswer, ...]:
    return tuple(
        GateAnswer(
            gate=f"witness:{witness.name}", is_open=not witness.sees, why=witness.why or "sees nothing", waivable=True
        )
        for witness in question.around.witnesses
    )
