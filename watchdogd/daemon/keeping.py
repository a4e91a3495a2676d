"""What a pair remembers over a restart, as the JSON that `Memory` keeps: last known, and that we were there.

Whatever cannot be read is as if it was never written: then nothing is known, and the gates say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from watchdogd.core.entries import Stamp
from watchdogd.core.known import Known, Loss
from watchdogd.core.model import ClusterId, StreamState
from watchdogd.core.policy import PairPolicy

KNOWN, HEARTBEAT, LEVEL = "known", "heartbeat", "level"
Kept = Mapping[str, object]


def stamp_kept(stamp: Stamp) -> dict[str, object]:
    """A stamp."""
    return {"at_s": stamp.at_s, "at_utc_s": stamp.at_utc_s, "boot_id": stamp.boot_id}


def stamp_of(kept: object) -> Stamp | None:
    """The stamp that was kept, or None."""
    if not isinstance(kept, Mapping):
        return None
    at_s, at_utc_s, boot_id = kept.get("at_s"), kept.get("at_utc_s"), kept.get("boot_id")
    if not isinstance(at_s, int | float) or not isinstance(at_utc_s, int | float) or not isinstance(boot_id, str):
        return None
    return Stamp(at_s=float(at_s), at_utc_s=float(at_utc_s), boot_id=boot_id)


def known_kept(known: Known, policy: PairPolicy) -> dict[str, object]:
    """What must survive us and the primary. The WAL samples begin anew: they only date a lag that is seen now."""
    return {
        "pins": _pins(policy),
        "about": known.about,
        "life": _maybe(known.life),
        "life_seen_by": known.life_seen_by,
        "state": known.state.value,
        "state_at": _maybe(known.state_at),
        "loss_s": known.loss.seconds,
        "loss_wal": known.loss.wal,
        "loss_told_by": known.loss.told_by,
        "loss_at": _maybe(known.loss_at),
        "follows_at": _maybe(known.follows_at),
        "source_version": known.source_version,
        "confirmed": sorted(known.confirmed),
        "seen_primary": sorted(known.seen_primary),
        "primary_at": _maybe(known.primary_at),
    }


def known_of(kept: Kept | None, policy: PairPolicy) -> Known:
    """What was known of this very pair; nothing when the config has come to pin another one."""
    if kept is None or kept.get("pins") != _pins(policy):
        return Known()
    try:
        return _known(kept, policy.cluster_ids)
    except (KeyError, TypeError, ValueError):
        return Known()


def _known(kept: Kept, clusters: tuple[ClusterId, ...]) -> Known:
    about = kept["about"]
    return Known(
        about=ClusterId(str(about)) if about in clusters else None,
        life=stamp_of(kept["life"]),
        life_seen_by=str(kept["life_seen_by"]),
        state=StreamState(str(kept["state"])),
        state_at=stamp_of(kept["state_at"]),
        loss=Loss(seconds=_number(kept["loss_s"]), wal=_whole(kept["loss_wal"]), told_by=str(kept["loss_told_by"])),
        loss_at=stamp_of(kept["loss_at"]),
        follows_at=stamp_of(kept["follows_at"]),
        source_version=str(kept["source_version"]),
        confirmed=_clusters(kept["confirmed"], clusters),
        seen_primary=_clusters(kept["seen_primary"], clusters),
        primary_at=stamp_of(kept.get("primary_at")),
    )


def repinned(kept: Kept | None, policy: PairPolicy) -> str:
    """The sentence that says that the config has come to pin other ids since this was kept; else empty."""
    before = kept.get("pins") if kept is not None else None
    if not isinstance(before, list) or before == _pins(policy):
        return ""
    return f"the config pins other ids than before: {', '.join(pin for pin in _pins(policy) if pin not in before)}"


def _pins(policy: PairPolicy) -> list[str]:
    clusters = sorted(policy.cluster_ids)
    return [policy.replication_id, *(f"{cluster}={policy.cluster(cluster).vault_id}" for cluster in clusters)]


def _maybe(stamp: Stamp | None) -> dict[str, object] | None:
    return None if stamp is None else stamp_kept(stamp)


def _number(value: object) -> float | None:
    return None if value is None else float(cast(float, value))


def _whole(value: object) -> int | None:
    return None if value is None else int(cast(int, value))


def _clusters(value: object, clusters: tuple[ClusterId, ...]) -> frozenset[ClusterId]:
    return frozenset(cluster for cluster in clusters if isinstance(value, list) and cluster in value)
