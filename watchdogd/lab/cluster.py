"""One cluster: nodes, elections, seals, role changes. What it holds durably is in its store and its roles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from watchdogd.lab import tokens
from watchdogd.lab.heeding import Suffered
from watchdogd.lab.knobs import Knobs
from watchdogd.lab.node import ActiveMemory, Mode, Node
from watchdogd.lab.policies import ROOT
from watchdogd.lab.roles import Change, Kind, Role, Window
from watchdogd.lab.seal_keys import SealKeys
from watchdogd.lab.seeded import Seeded
from watchdogd.lab.spec import ClusterSpec
from watchdogd.lab.store import Store
from watchdogd.lab.transcript import Transcript


@dataclass(slots=True)
class Wrapping:
    """A response-wrapped activation token that was not used yet."""

    data: Mapping[str, object]
    created_s: float  # by the lab's clock
    created_utc_s: float
    ttl_s: float
    creation_path: str


@dataclass(slots=True)
class QuotaWindow:
    """What one client has sent to one node under one rate limit since the window began."""

    ends_s: float = 0.0
    sent: int = 0
    blocked_until_s: float = 0.0


@dataclass(slots=True)
class Balancer:
    """The load balancer before the nodes: whom it sends to, since its last look at them."""

    pool: tuple[int, ...] = ()
    checked_s: float = -inf
    is_stale: bool = False  # it goes on with the pool that it has


_BEFORE_INDEXES = (1, 9)


def parse_version(text: str) -> tuple[int, ...]:
    """`1.19.3+ent` as (1, 19, 3)."""
    return tuple(int(part) for part in text.partition("+")[0].partition("-")[0].split("."))


class Cluster:
    """Nodes around one store. Steps are the world's; between two steps nothing changes but by a request."""

    def __init__(self, spec: ClusterSpec, knobs: Knobs, *, seed: int, store: Store, transcript: Transcript) -> None:
        self.spec, self.knobs = spec, knobs
        self.version = parse_version(spec.vault_version)
        self.chance = Seeded(seed, f"cluster/{spec.name}")
        self.vault_id = spec.vault_id or self.chance.uuid()
        self.nodes = [Node(target=f"{self.name}/{n}", number=n) for n in range(1, spec.nodes + 1)]
        self.store = store
        store.asks_replica = self._asks_replica
        self.roles = {kind: Role(mode=Mode.DISABLED) for kind in Kind}
        self.window: Window | None = None
        self.active: Node | None = None
        self.election_at_s: float | None = None
        self.flap_at_s: float | None = None
        self.term = 1
        self.changes = 0  # counts what the true counts depend on
        self.keys: SealKeys | None = None  # None: not initialised
        self.op_tokens: list[str] = []
        self.wrappings: dict[str, Wrapping] = {}
        self.public_keys: dict[str, bytes] = {}  # each with its secret half
        self.certificates: set[str] = set()  # of the bundles that it gave out
        self.autopilot: dict[str, object] = {}  # what its configuration says otherwise than by default
        self.has_of: dict[str, int] = {}  # cluster -> the position of its log up to which this one has everything
        self.merkle_checked_utc_s: float | None = None
        self.quota_windows: dict[str, QuotaWindow] = {}  # by node, client and rule
        self.balancer = Balancer()
        self._transcript = transcript
        self._last_active = 0
        self._told_at_s = inf
        self.suffered = Suffered()

    # ------------------------------------------------------------------ what is

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def region(self) -> str:
        return self.spec.in_region

    @property
    def token_version(self) -> tuple[int, ...]:
        """The version whose service tokens it makes: without those that carry an index, one before 1.10 (GENROOT)."""
        return self.version if self.knobs.server_side_consistent_tokens else min(self.version, _BEFORE_INDEXES)

    @property
    def modes(self) -> tuple[Mode, Mode]:
        """(dr, performance), as they are shown."""
        return self.shown_role(Kind.DR).mode, self.shown_role(Kind.PERFORMANCE).mode

    def shown_role(self, kind: Kind) -> Role:
        """What the cluster says of its part in one kind: on a DR secondary perhaps what it will be once promoted."""
        inherited = self.roles[Kind.DR].inherited
        if kind is Kind.PERFORMANCE and inherited is not None and self.knobs.dr_secondary_shows_performance:
            return inherited
        return self.roles[kind]

    @property
    def threshold(self) -> int:
        """How many key shares are needed; 0 before sys/init."""
        return self.keys.threshold if self.keys is not None else 0

    @property
    def quorum(self) -> int:
        """How many voting nodes an election needs."""
        return len([n for n in self.nodes if n.joined]) // 2 + 1

    @property
    def members(self) -> list[Node]:
        """Nodes that raft knows of, up or not."""
        return [n for n in self.nodes if n.joined and not n.removed]

    @property
    def voters(self) -> list[Node]:
        """Nodes that take part in raft now."""
        return [n for n in self.nodes if n.can_vote]

    @property
    def could_serve(self) -> bool:
        """Whether an active node is possible at all."""
        return (
            not self.suffered.has_quorum_loss
            and any(n.can_vote for n in self.nodes)
            and len([n for n in self.nodes if n.holds_storage]) >= self.quorum
        )

    @property
    def is_dr_secondary(self) -> bool:
        return self.roles[Kind.DR].mode is Mode.SECONDARY

    @property
    def is_performance_secondary(self) -> bool:
        """Whether another cluster alone writes what performance clusters share."""
        return self.roles[Kind.PERFORMANCE].mode is Mode.SECONDARY

    def is_active_primary(self, kind: Kind) -> bool:
        """Whether it has an active node that serves as primary of this kind now."""
        return self.active is not None and self.window is None and self.roles[kind].mode is Mode.PRIMARY

    def _asks_replica(self) -> bool:
        return self.is_performance_secondary

    @property
    def _election_s(self) -> float:
        return self.knobs.election_s + max((node.slow_s for node in self.voters), default=0.0)

    def serving(self) -> Node | None:
        """The active node, unless a role change is tearing it down."""
        return self.active if self.window is None else None

    def node(self, number: int) -> Node:
        """The node with this number, from 1."""
        return self.nodes[number - 1]

    # ------------------------------------------------------------------ time

    def next_due_s(self) -> float:
        """When something here happens by itself next; inf for never."""
        due = self.window.until_s if self.window is not None else inf
        if self.election_at_s is not None:
            due = min(due, self.election_at_s)
        if self.flap_at_s is not None and self.active is not None:
            due = min(due, self.flap_at_s)
        if (
            self.active is not None
            and self.active.active is not None
            and self.active.active.reindex_until_s is not None
        ):
            due = min(due, self.active.active.reindex_until_s)
        for node in self.nodes:
            if node.unseal_at_s is not None:
                due = min(due, node.unseal_at_s)
        return min(due, self._told_at_s)

    def step(self, now_s: float, utc_s: float) -> None:
        """Bring everything that is due at `now_s` about."""
        for node in self.nodes:
            if node.unseal_at_s is not None and node.unseal_at_s <= now_s:
                node.unseal()
                self.came_unsealed(node, now_s)
        if self.window is not None and self.window.until_s <= now_s:
            self._end_window(now_s, utc_s)
        if self.active is not None and not (self.active.can_vote and self.could_serve):
            self._lose_active(now_s, "lost")
        if self.flap_at_s is not None and self.flap_at_s <= now_s and self.active is not None:
            self._lose_active(now_s, "stepped down")
        if self.active is None and self.window is None:
            self._elect_when_due(now_s, utc_s)
        if self._told_at_s <= now_s:
            self._told_at_s = inf
            self._tell_standbys()
        if self.active is not None:
            self._echo(now_s)
            self._end_reindex(self.active, now_s, utc_s)

    # ------------------------------------------------------------------ acts

    def begin(self, change: Change, seconds: float, now_s: float) -> None:
        """Open a role change's window: the active node is torn down, and rebuilt `seconds` later."""
        before = self.modes
        back_as = self.active.number if self.active is not None else self._last_active
        self.window = Window(change=change, until_s=now_s + seconds, modes_before=before, back_as=back_as)
        self._drop_active()
        self.changes += 1

    def empty(self) -> None:
        """As installed: processes without keys, whose nodes will join the one that is initialised (retry_join)."""
        for node in self.nodes:
            node.seal()
            node.initialized = node.joined = False

    def initialise(self, node: Node, keys: SealKeys, *, now_s: float, utc_s: float) -> tokens.Token:
        """Keys, a keyring and a root token, which is returned. It stays sealed, unless its seal opens by itself."""
        self.keys, node.initialized, node.joined = keys, True, True
        self.store.put(tokens.KEYRING, {"key": self.chance.octets(32).hex()}, now_s=now_s, utc_s=utc_s)
        root = self.keep_root_token(now_s=now_s, utc_s=utc_s)
        for each in self.nodes:
            each.unseal_at_s = self.unseals_by_itself_at(now_s) if each.up else None
        self.changes += 1
        self.note(now_s, f"{self.name} initialised at {node.target}")
        return root

    def become_a_copy(self, keys: SealKeys, now_s: float) -> None:
        """Enabled as a secondary: all that it held is gone, the primary's keys are its own, its standbys seal (TC)."""
        self.store.wipe()
        self.keys = keys
        self.op_tokens.clear()
        self.wrappings.clear()
        self.public_keys.clear()
        self.certificates.clear()
        self.autopilot.clear()
        self.note(now_s, f"{self.name} wiped")
        for node in self.nodes:
            if self.knobs.poison_pill and node is not self.active and node.can_vote:
                node.poison(unseal_at_s=self.unseals_by_itself_at(now_s))
                self.note(now_s, f"{node.target} sealed itself")

    def keep_root_token(self, *, now_s: float, utc_s: float) -> tokens.Token:
        """One more root token."""
        root = tokens.Token(
            id=tokens.new_id(self.chance, self.token_version),
            type=tokens.TokenType.SERVICE,
            policies=(ROOT,),
            created_utc_s=utc_s,
            accessor=self.chance.base62(24),
            display_name="root",
            path="auth/token/root",
        )
        return tokens.keep(self.store, root, now_s=now_s, utc_s=utc_s)

    def step_down(self, now_s: float) -> None:
        """The active node gives up being active; an election follows."""
        if self.active is not None:
            self._lose_active(now_s, "stepped down", election_s=min(0.5, self.knobs.election_s))

    def came_unsealed(self, node: Node, now_s: float) -> None:
        """A node has just been unsealed; it hears the modes from its active node a moment later."""
        self.changes += 1
        self.tell_standbys_soon(now_s)
        self.note(now_s, f"{node.target} unsealed")

    def tell_standbys_soon(self, now_s: float) -> None:
        """Whoever has just come hears the modes from the active node a moment later, if there is one."""
        if self.active is not None:
            self._told_at_s = now_s + self.knobs.standby_told_s

    def unseals_by_itself_at(self, now_s: float) -> float | None:
        """When a node that is sealed now opens; None for never: without keys, and where a person has to bring them."""
        return now_s + self.knobs.unseal_s if self.knobs.auto_unseal and self.keys is not None else None

    def seal_node(self, node: Node, now_s: float) -> None:
        """Seal one node."""
        node.seal()
        self.changes += 1
        self.note(now_s, f"{node.target} sealed")

    # ------------------------------------------------------------------ inside

    def _lose_active(self, now_s: float, how: str, election_s: float | None = None) -> None:
        if self.active is not None:
            self.note(now_s, f"{self.active.target} {how} as active")
        self._drop_active()
        if self.suffered.flap_every_s is not None:
            self.flap_at_s = now_s + self.suffered.flap_every_s
        self.election_at_s = now_s + (self._election_s if election_s is None else election_s)
        self.changes += 1

    def _drop_active(self) -> None:
        if self.active is not None:
            self._last_active, self.active.active, self.active = self.active.number, None, None
        self._told_at_s = inf

    def _elect_when_due(self, now_s: float, utc_s: float) -> None:
        if not self.could_serve:
            self.election_at_s = None
            return
        if self.election_at_s is None:
            self.election_at_s = now_s + self._election_s
        if self.election_at_s <= now_s:
            ranked = sorted(self.voters, key=lambda n: (n.number - self._last_active - 1) % len(self.nodes))
            self.make_active(ranked[0], now_s, utc_s)

    def make_active(self, node: Node, now_s: float, utc_s: float) -> None:
        """A node becomes active: with nothing in memory but the moment."""
        self.active, node.active = node, ActiveMemory(since_s=now_s, since_utc_s=utc_s)
        for each in self.nodes:
            each.initialized = True
        self.election_at_s, self.term = None, self.term + 1
        self.tell_standbys_soon(now_s)
        node.told, node.echo_s = self.modes, None
        self.changes += 1
        self.note(now_s, f"{node.target} active")

    def _end_window(self, now_s: float, utc_s: float) -> None:
        window, self.window = self.window, None
        self.changes += 1
        if window is not None and self.could_serve and self.node(max(1, window.back_as)).can_vote:
            self.make_active(self.node(max(1, window.back_as)), now_s, utc_s)

    def _tell_standbys(self) -> None:
        for node in self.voters:
            node.told = self.modes

    def _end_reindex(self, node: Node, now_s: float, utc_s: float) -> None:
        memory = node.active
        if memory is None or memory.reindex_until_s is None or memory.reindex_until_s > now_s:
            return
        memory.reindex_until_s = None
        for role in self.roles.values():
            role.last_reindex_utc_s = utc_s
        self.note(now_s, f"{self.name} reindexed")

    def _echo(self, now_s: float) -> None:
        late_s = self.active.slow_s if self.active is not None else 0.0
        for node in self.nodes:
            if node is not self.active and node.can_vote:
                node.echo_s = now_s - late_s

    def note(self, now_s: float, text: str) -> None:
        """A line of what happened here."""
        self._transcript.note(now_s, text)
