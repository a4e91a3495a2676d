"""Scenarios: incidents as files. Faults, acts of people and expectations on a time line, and what it may cost. Pure.

A file is one incident and may be a whole family of them: `[cases.NAME]` names variants, `[defaults]` holds what they do
not set, `[matrix]` crosses lists, and `{name}` in any text stands for the variant's value. How a file is read:
`scenario_file.py`. What is judged: `story.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from watchdogd.lab.faults import Fault

Value = str | float | bool
Scalars = Mapping[str, Value | tuple[str, ...]]


class Tag(StrEnum):
    """Where two writable primaries may exist at all."""

    INDISTINGUISHABLE_PARTITION = "indistinguishable-partition"
    UNFENCED_RETURN = "unfenced-return"


class Do(StrEnum):
    """What somebody does. Behind each: the keys that it takes."""

    # an operator, through the control socket
    PAUSE = "pause"  # for
    RESUME = "resume"
    ACK = "ack"
    ADOPT = "adopt"  # cluster
    FORGIVE = "forgive"  # cluster
    FAILOVER = "failover"  # cluster, waive
    START = "start"  # runbook, cluster
    RUN_RETRY = "run-retry"
    RUN_SKIP = "run-skip"
    RUN_PROCEED = "run-proceed"  # waive
    RUN_ABORT = "run-abort"
    RUN_ADOPT = "run-adopt"  # cluster
    # what happens to the daemon and its machine
    KILL = "kill"  # for: how long it is gone
    TERM = "term"  # for: how long it is gone once it has ended
    SUSPEND = "suspend"  # for: the machine sleeps
    STALL = "stall"  # for: the process stands still
    STEP_CLOCK = "step-clock"  # seconds: the wall clock jumps
    SLOW_JOURNAL = "slow-journal"  # entry, for, times: a write of such an entry takes so long
    FAIL_JOURNAL = "fail-journal"  # for
    CUT_ANCHORS = "cut-anchors"  # for
    WITNESS_SEES = "witness-sees"  # for
    # people and the world
    CLEAR = "clear"  # kind, target: faults end
    PROMOTE = "promote"  # cluster: somebody promotes it by hand
    DEMOTE = "demote"  # cluster
    POINT_NAME = "point-name"  # target: a cluster, or any name; at the provider
    ASK = "ask"  # target, path, method, as, body, answers, says, lacks, keep: a person asks Vault; see `Ask`
    SPOIL_TOKEN = "spoil-token"  # noqa: S105  token: `a`, `b`, `share_1`: the file holds another from now on
    MEND_TOKEN = "mend-token"  # noqa: S105  token


ORDERS = frozenset(
    {
        Do.PAUSE, Do.RESUME, Do.ACK, Do.ADOPT, Do.FORGIVE, Do.FAILOVER, Do.START, Do.RUN_RETRY, Do.RUN_SKIP,
        Do.RUN_PROCEED, Do.RUN_ABORT, Do.RUN_ADOPT,
    }
)  # fmt: skip


# What a person was given when the pair was set up; kept somewhere else by each.
CREDENTIALS = frozenset(
    "root_token client_token role_id secret_id dr_token_a dr_token_b share_1 share_2 share_3 share_4 share_5".split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class When:
    """A moment: a second of the scenario, or `plus_s` after a line of its story that begins with the words `seen`."""

    at_s: float | None = None
    seen: str = ""
    nth: int = 1
    plus_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultLine:
    """Something goes wrong, `for_s` seconds long. The fault itself carries no end: that depends on when it begins."""

    when: When
    fault: Fault
    for_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request of a person to Vault, and what it must be answered.

    `target` is a node, or a cluster: its active node. `caller` is the name of a value, sent as Vault token. In `body`,
    JSON, a text `$NAME` stands for such a value: one of CREDENTIALS, or what an earlier request kept. `says` are pieces
    of the answer, as JSON with a space behind each colon and comma, and `lacks` are pieces of none. `keep` tells by
    name what is kept of the answer: the path of a field, `wrap_info.token`.
    """

    target: str
    method: str
    path: str
    caller: str
    body: str
    status: int
    says: tuple[str, ...]
    lacks: tuple[str, ...]
    keep: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActLine:
    """Somebody does something. `refused` is the code that an order must be refused with; empty: it must be taken."""

    when: When
    do: Do
    given: Scalars = field(default_factory=dict)
    refused: str = ""
    ask: Ask | None = None

    def text(self, key: str, default: str = "") -> str:
        """A text among what was given."""
        value = self.given.get(key, default)
        return value if isinstance(value, str) else default

    def number(self, key: str, default: float = 0.0) -> float:
        """A number among what was given."""
        value = self.given.get(key, default)
        return float(value) if isinstance(value, int | float) else default

    def words(self, key: str) -> tuple[str, ...]:
        """A list of texts among what was given."""
        value = self.given.get(key, ())
        return value if isinstance(value, tuple) else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A line of the story that begins with the words `seen`: within a span of time, so often, or never.

    `since` counts the span from another line's first appearance. `gates` must all be named by the line.
    """

    seen: str
    after_s: float = 0.0
    before_s: float | None = None
    since: str = ""
    times: int | None = None
    never: bool = False
    gates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How things stand at one second; None means the end. Keys: see `story.State`."""

    at_s: float | None
    state: Scalars


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The most that the incident may cost, by the lab's own counts."""

    two_writable_primaries_s: float = 0.0
    acknowledged_writes_lost: float = 0.0
    no_primary_s: float = 0.0
    name_at_non_primary_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One incident. `world` sets knobs of the lab, `pair` what the config says; times count from its first second.

    `asks` are the endpoints that are asked in it, as `routes.endpoint_of` names them.
    """

    title: str
    case: str
    stands_for: str
    until_s: float
    seed: int
    tags: frozenset[Tag]
    world: Scalars
    pair: Scalars
    fence: Scalars
    faults: tuple[FaultLine, ...]
    acts: tuple[ActLine, ...]
    expected: tuple[Expected, ...]
    standing: tuple[Standing, ...]
    budget: Budget
    asks: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The title, and the case where the file has several."""
        return f"{self.title}[{self.case}]" if self.case else self.title

    @property
    def moments(self) -> tuple[When, ...]:
        """When each fault and each act is."""
        return (*(line.when for line in self.faults), *(line.when for line in self.acts))
