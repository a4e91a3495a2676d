"""The two windows of the evidence, side by side: how far each is, and when it will be full if nothing changes."""

from __future__ import annotations

from watchdogd.core.facts import Sight, Window
from watchdogd.core.link import Hears, LinkWatch
from watchdogd.core.model import ClusterId, ClusterView, Reach
from watchdogd.core.policy import Timing
from watchdogd.core.streak import Need, Streak


def down_need(timing: Timing) -> Need:
    """What it takes to believe DOWN."""
    return Need(after_s=timing.down_after_s, rounds=timing.down_rounds)


def up_need(timing: Timing) -> Need:
    """What it takes to believe UP."""
    return Need(after_s=timing.up_after_s, rounds=timing.up_rounds)


def sight_of(link: LinkWatch, hears: Hears, timing: Timing, *, is_witnessed: bool, now_s: float) -> Sight:
    """What the secondary and the other witnesses say together: one that sees vetoes, one that does not is nothing."""
    if hears is Hears.SEES or is_witnessed:
        return Sight.SEES
    if hears is Hears.BLIND:
        return Sight.BLIND
    if hears is Hears.HEARS_NOTHING and now_s >= _link_full_at_s(link, timing):
        return Sight.FULL
    return Sight.RUNNING


def down_window(elected: ClusterView, streak: Streak, timing: Timing, *, now_s: float) -> Window:
    """The window of "the elected cluster is DOWN"."""
    need = down_need(timing)
    is_running = streak.candidate is Reach.DOWN
    is_full = streak.is_held(Reach.DOWN)
    missing_s = max(need.after_s - streak.held_s, (need.rounds - streak.rounds) * timing.interval_s, 0.0)
    why = f"{elected.cluster} not serving for {streak.held_s:.0f} of {need.after_s:.0f} s, "
    why += f"{streak.rounds} of {need.rounds} rounds"
    return Window(
        name="down",
        is_full=is_full,
        progress=1.0 if is_full else streak.progress(need) if is_running else 0.0,
        full_at_s=now_s + missing_s if is_running else None,
        why=why if is_running else _not_down(elected),
    )


def _not_down(elected: ClusterView) -> str:
    kept_by = ", ".join(f"{node.node} reads {node.reading}" for node in elected.unsure)
    is_kept = elected.reach is Reach.UNKNOWN and kept_by
    return f"{elected.cluster} is not seen to be down" + (f": {kept_by}" if is_kept else "")


def link_window(
    partner: ClusterId, link: LinkWatch, sight: Sight, timing: Timing, *, witness: str = "", now_s: float
) -> Window:
    """The window of "the secondary hears nothing". It runs beside that of DOWN, and began with the last advance.

    `witness` is who else sees the elected cluster now.
    """
    full_at_s = max(_link_full_at_s(link, timing), link.counted_from_s + timing.heartbeat_stale_after_s)
    whole_s = max(full_at_s - link.counted_from_s, 1.0)
    quiet_s = max(0.0, now_s - link.counted_from_s)
    # A blind secondary has a gate of its own; its window is not what is missing.
    is_full = sight in (Sight.FULL, Sight.BLIND)
    is_running = sight is Sight.RUNNING
    why = f"{partner} has heard nothing for {quiet_s:.0f} of {whole_s:.0f} s"
    if link.signals is None:
        why = f"{partner} was never compared with itself: it has said nothing of the primary yet"
    return Window(
        name="link",
        is_full=is_full,
        progress=1.0 if is_full else min(1.0, quiet_s / whole_s) if is_running else 0.0,
        full_at_s=full_at_s if is_running else None,
        why=_who_sees(partner, witness, quiet_s) if sight is Sight.SEES else why,
    )


def _who_sees(partner: ClusterId, witness: str, quiet_s: float) -> str:
    return f"witness {witness} sees it now" if witness else f"{partner} last heard it {quiet_s:.0f} s ago"


def _link_full_at_s(link: LinkWatch, timing: Timing) -> float:
    return link.full_at_s(down_after_s=timing.down_after_s, stale_link_hold_s=timing.stale_link_hold_s)
