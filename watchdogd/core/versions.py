"""Which cluster of a pair runs the older Vault."""

from __future__ import annotations

import re
from dataclasses import dataclass

from watchdogd.core.model import ClusterView

VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Older:
    """A cluster that follows a newer one: Vault supports no replication from a newer to an older version."""

    version: str
    follows: str  # the version of the cluster that it follows


def older_follower(elected: ClusterView | None, partner: ClusterView) -> Older | None:
    """The versions of both, when the partner follows and is the older one; None also where one of them tells none."""
    newer, older = _version(elected), _version(partner)
    if newer is None or older is None or not partner.is_active_secondary or older >= newer:
        return None
    version, follows = (".".join(map(str, one)) for one in (older, newer))
    return Older(version=version, follows=follows)


def _version(view: ClusterView | None) -> tuple[int, ...] | None:
    health = view.active.health if view is not None and view.active is not None else None
    found = VERSION.match(health.version) if health is not None else None
    return tuple(map(int, found.groups())) if found is not None else None
