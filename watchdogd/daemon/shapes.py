"""What reading the control socket answers, field by field, for the document of the API; tests compare real answers."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from watchdogd.core.budget import Whose
from watchdogd.core.decision import Execution
from watchdogd.core.entries import Runbook, RunOutcome
from watchdogd.core.facts import Side, Sight, Stream
from watchdogd.core.ledger import DebtState, FenceState, RunState
from watchdogd.core.link import Hears
from watchdogd.core.model import Mode, Reach, Reading, StreamState
from watchdogd.core.naming import NameSeen
from watchdogd.core.policy import Level
from watchdogd.core.situations import Phase
from watchdogd.daemon.protocol import Code
from watchdogd.errors import Need


class Gate(BaseModel):
    """One gate. `until_s` is in how many seconds it is expected to open by itself."""

    gate: str
    open: bool
    waivable: bool
    why: str
    until_s: float | None


class Error(BaseModel):
    """Why it was not done. `gates` are those that block it."""

    code: Code | Need
    message: str
    gates: list[Gate]


class Refusal(BaseModel):
    """Every answer from 400 up."""

    error: Error


class Todo(BaseModel):
    """One thing that a row asks for."""

    runbook: Runbook | None
    execution: Execution
    source: str
    target: str
    situation: str
    why: str
    goes: bool
    blocked_by: list[Gate]
    command: str


class NameRow(BaseModel):
    """The row of the service name."""

    situation: str
    why: str


class Decision(BaseModel):
    """What is asked for, most urgent first. `beneath` is the row with an open run left aside."""

    sentence: str
    todo: list[Todo]
    beneath: str
    name: NameRow
    flapping: bool


class Node(BaseModel):
    """One node, as its newest probe round shows it."""

    node: str
    reading: Reading
    why: str
    age_s: float
    took_s: float
    malformed: list[str]


class Cluster(BaseModel):
    """One cluster, node by node."""

    cluster: str
    part: Literal["elected", "partner"]
    side: Side | Reach
    reach: Reach
    mode: Mode
    active: str | None
    wrong: str
    version: str | None
    last_wal: int | None
    last_remote_wal: int | None
    state: StreamState | None
    corrupted_merkle_tree: bool
    nodes: list[Node]


class Window(BaseModel):
    """One window of the evidence."""

    window: str
    full: bool
    progress: float
    full_in_s: float | None
    why: str


class Life(BaseModel):
    """The last sign of life of the elected cluster."""

    age_s: float | None
    at_utc_s: float
    by: str


class Name(NameRow):
    """The service name, as the authoritative servers answer."""

    seen: NameSeen | None
    serving: str | None
    published: list[str]
    unasked: list[str]


class Debt(BaseModel):
    """A demotion that is owed."""

    epoch: int
    debtor: str
    creditor: str
    state: DebtState
    age_s: float | None


class Fence(BaseModel):
    """A fence that must be turned off one day."""

    cluster: str
    epoch: int
    state: FenceState
    run_id: str


class Pause(BaseModel):
    """Why, since when and until when nothing starts."""

    reason: str
    since_s: float | None
    until_utc_s: float | None


class Parked(BaseModel):
    """What a parked run waits for, and what it would take now."""

    step: str
    need: str
    why: str
    answered: str
    acts: list[str]


class Step(BaseModel):
    """One step of a run."""

    step: str
    done: bool
    intents: int
    not_applied: int
    unsure: bool
    skipped: bool


class Run(BaseModel):
    """One run with its steps."""

    run_id: str
    incident_id: str
    runbook: Runbook
    source: str
    target: str
    situation: str
    why: str
    state: RunState
    outcome: RunOutcome | None
    epoch: int | None
    age_s: float | None
    opened_utc_s: float
    touched_utc_s: float
    waivers: list[str]
    asked_by_uid: int | None
    abort_asked: bool
    parked: Parked | None
    steps: list[Step]


class Facts(BaseModel):
    """What is known of a pair."""

    elected: str | None
    epoch: int
    clusters: list[Cluster]
    hears: Hears
    sight: Sight
    stream: Stream
    windows: list[Window]
    lacks: list[str]
    last_sign_of_life: Life | None
    last_known_state: StreamState
    estimated_loss_s: float | None
    estimated_loss_wal: int | None
    estimated_loss_by: str
    estimated_loss_age_s: float | None
    flaps: int
    name: Name
    run: Run | None
    debts: list[Debt]
    fences: list[Fence]
    paused: Pause | None
    ack_missing: str | None
    hold: str
    foreign: str


class Approval(BaseModel):
    """A plan that was approved ahead: its run begins by itself once these gates are open and a row asks for it."""

    plan_hash: str
    action: Runbook
    source: str
    target: str
    situation: str
    waivers: list[str]
    asked_by_uid: int
    reason: str
    until_utc_s: float
    blocked_by: list[Gate]


class Evidence(BaseModel):
    """Who says what about the elected cluster, and how long ago."""

    source: str
    seen: str
    age_s: float | None


class Explained(BaseModel):
    """Why the daemon does what it does about a pair, or why it does not."""

    pair: str
    phase: Phase
    situation: str
    why: str
    decision: Decision
    since_s: float
    facts: Facts
    evidence: list[Evidence]
    gates: list[Gate]
    would_act_when: list[str]
    approval: Approval | None
    command: str


class Standing(BaseModel):
    """A cluster in two words."""

    cluster: str
    side: Side | Reach
    mode: Mode


class Published(BaseModel):
    """The row of the service name, and the cluster that it is published for."""

    situation: str
    serving: str | None


class Notice(BaseModel):
    """Something that people were told and that still holds."""

    severity: str
    summary: str
    command: str
    key: str


class Pair(BaseModel):
    """One pair in a few words."""

    pair: str
    phase: Phase
    situation: str
    why: str
    action: str
    since_s: float
    elected: str | None
    epoch: int
    level: Level
    clusters: list[Standing]
    name: Published
    run: Run | None
    run_waits: str
    approval: Approval | None
    failover_ready: bool
    paused: str | None
    paused_until_utc_s: float | None
    hold: str
    foreign: str
    debtor: str | None
    fences: list[str]
    fences_unsure: list[str]
    notices: list[Notice]


class StartingPair(BaseModel):
    """A pair about which nothing was decided yet."""

    pair: str
    phase: Literal["starting"]
    situation: Literal[""]
    why: str


class Status(BaseModel):
    """Every pair in a few words."""

    version: str
    pairs: list[Pair | StartingPair]


class Planned(BaseModel):
    """What a run would do now, what keeps it from starting, and the hash by which it is approved."""

    action: Runbook
    pair: str
    source: str
    target: str
    situation: str
    elected: str | None
    epoch: int
    waivers: list[str]
    blocked_by: list[Gate]
    steps: list[str]
    estimated_loss_s: float | None
    estimated_loss_age_s: float | None
    plan_hash: str
    todo: list[Todo]
    never: str


class Recorded(BaseModel):
    """One entry of the journal; `entry` holds the fields of its kind."""

    seq: int
    pair: str
    at_utc_s: float
    kind: str
    entry: dict[str, Any]


class History(BaseModel):
    """Entries of the journal, newest first."""

    entries: list[Recorded]


class RunTold(Run):
    """One run, and what was written down of it, oldest first."""

    pair: str
    waits: str
    entries: list[Recorded]


class Part(BaseModel):
    """One part of the worst case, and whose it is."""

    part: str
    seconds: float
    whose: Whose


class Lost(BaseModel):
    """The worst case when this cluster is lost."""

    lost: str
    worst_case_s: float
    parts: list[Part]


class Longer(BaseModel):
    """Detection where the secondary says less than it could, counted from what `since` names."""

    case: str
    since: str
    detection_s: float


class TimedPair(BaseModel):
    """The worst cases of one pair."""

    pair: str
    clusters: list[Lost]
    longer: list[Longer]


class Timed(BaseModel):
    """The worst case of the running config, by name and number."""

    pairs: list[TimedPair]


class Document(BaseModel):
    """A document of OpenAPI 3.1."""

    openapi: Literal["3.1.0"]
    info: dict[str, Any]
    servers: list[dict[str, Any]]
    paths: dict[str, Any]
    components: dict[str, Any]


class Version(BaseModel):
    """Of the daemon, and of this API."""

    version: str
    api: Literal["v1"]
