"""The lab's own truth: what really happened, counted from the inside on every step, whatever anybody believes."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedEffect:
    """A role-changing request that Vault really applied, at the moment it was accepted. `verb` e.g. `promote`."""

    at_s: float
    verb: str
    cluster: str
    kind: str = "dr"
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentRequest:
    """A mutation that reached a node, applied or not. KV writes of clients are not kept here."""

    at_s: float
    place: str
    target: str
    method: str
    path: str
    outcome: str
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """A request that a handler of the lab could not cope with: a fault of the lab's own. `what` names the place."""

    at_s: float
    target: str
    method: str
    path: str
    what: str


@dataclass(slots=True)
class TrueCounts:
    """The four true counts, and what they were counted from."""

    two_writable_primaries_s: float = 0.0  # two clusters that are active primaries and that clients can write to
    no_primary_s: float = 0.0  # no active primary that clients can reach, although some cluster could serve them
    name_at_non_primary_s: float = 0.0  # the published name at a cluster that is not primary while another one is
    acknowledged_writes: int = 0
    writes_discarded: int = 0  # secrets that a cluster had written by itself and lost in a sync when it rejoined
    lost_keys: set[str] = field(default_factory=set)  # acknowledged to a client, not on the elected primary

    @property
    def acknowledged_writes_lost(self) -> int:
        """Writes that a client was told were done and that the elected primary does not have."""
        return len(self.lost_keys)

    def spent(self) -> dict[str, float]:
        """The four true counts, by the names of their budgets."""
        return {
            "two_writable_primaries_s": self.two_writable_primaries_s,
            "acknowledged_writes_lost": float(self.acknowledged_writes_lost),
            "no_primary_s": self.no_primary_s,
            "name_at_non_primary_s": self.name_at_non_primary_s,
        }
