"""The keys of a cluster: the root key behind its seal, and the shares that give it back.

With a Shamir seal the shares unseal; with an auto seal they are recovery keys, which authorise and unseal nothing.
A secondary takes over those of its primary, whatever its own seal is (REPL-OV; section 4.4 of the reference).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from watchdogd.lab import shamir
from watchdogd.lab.seeded import Seeded

_KEY_BYTES = 32
_SHARES_MAX = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class SealKeys:
    """What sys/init makes. `threshold` of the `shares` give the `root_key`."""

    root_key: bytes
    shares: tuple[bytes, ...]
    threshold: int

    @classmethod
    def make(cls, *, shares: int, threshold: int, chance: Seeded) -> SealKeys:
        """A new root key and its shares. Raises ValueError in the words of `why_refused`."""
        refused = why_refused(shares, threshold)
        if refused:
            raise ValueError(refused)
        root_key = chance.octets(_KEY_BYTES)
        if shares == 1:
            return cls(root_key=root_key, shares=(root_key,), threshold=1)
        parts = shamir.split(root_key, shares=shares, threshold=threshold, chance=chance)
        return cls(root_key=root_key, shares=parts, threshold=threshold)

    def fit(self, shares: Sequence[bytes]) -> bool:
        """Whether these shares give the root key. Raises ValueError where they cannot be combined at all."""
        return (shares[0] if self.threshold == 1 else shamir.combine(shares)) == self.root_key


def why_refused(shares: int, threshold: int) -> str:
    """What Vault says to a seal configuration that it refuses; empty for a good one (OBS: OpenBao says the same)."""
    if shares < 1:
        return "shares must be at least one"
    if threshold < 1:
        return "threshold must be at least one"
    if shares > 1 and threshold == 1:
        return "threshold must be greater than one for multiple shares"
    if shares > _SHARES_MAX:
        return f"shares must be less than {_SHARES_MAX + 1}"
    return "threshold cannot be larger than shares" if threshold > shares else ""
