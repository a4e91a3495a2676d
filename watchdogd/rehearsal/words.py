"""How the story tells what the daemon wrote down, decided and said: the same words whoever listens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from watchdogd.core.entries import Entry, RunEnded, RunOpened, RunParked
from watchdogd.core.ledger import Ledger
from watchdogd.lab.scenario import Value

Told = tuple[str, str]  # a line of the story, and more about it
SHOWN = ("runbook", "epoch", "cluster", "elected", "debtor", "why", "seen", "cause", "what", "reason", "note")


def lines_of_entry(entry: Entry, ledger: Ledger) -> Iterator[Told]:
    """A line for an entry that is durable, and one for what people call a run."""
    given = ((name, getattr(entry, name, "")) for name in SHOWN)
    more = " ".join(f"{name}={value}" for name, value in given if value not in ("", None))
    yield f"journal {entry.kind} {getattr(entry, 'step', '')}".rstrip(), more
    match entry:
        case RunOpened():
            yield f"run {entry.runbook} opened", entry.why
        case RunParked():
            yield f"run {runbook_of(entry.run_id, ledger)} parked", f"at {entry.step}: {entry.need}: {entry.why}"
        case RunEnded():
            yield f"run {runbook_of(entry.run_id, ledger)} {entry.outcome}", entry.why


def runbook_of(run_id: str, ledger: Ledger) -> str:
    """What a run does."""
    runs = [*ledger.recent_runs, *([ledger.run] if ledger.run else [])]
    return next((run.runbook.value for run in runs if run.run_id == run_id), "?")


def line_of_notice(severity: str, key: str, summary: str, details: Sequence[str], command: str) -> Told:
    """What people are told, in sentences; a run's own notices by its runbook."""
    word = "page" if severity == "page" else "warn"
    run_id, _, rest = key.partition(":")
    named = f"{run_id.split('-', 2)[2]}.{rest}" if rest and run_id.count("-") >= 2 else key
    said = ". ".join(part.rstrip(" .") for part in (summary, *details))
    if not details and not command:
        return f"{word} {named}", said
    return f"{word} {named}", f"{said}. to do: {command}" if command else f"{said}."


def line_of_todo(runbook: str | None, execution: str, blocked_by: Sequence[str]) -> Told:
    """One thing that a row asks for."""
    gates = ", ".join(f"gate {gate} closed" for gate in blocked_by)
    return f"decision {runbook or 'nothing'} {'blocked' if blocked_by else execution}", gates


def state_of(ledger: Ledger) -> dict[str, Value | tuple[str, ...]]:
    """How things stand by what is durable; see `story.State`."""
    run = ledger.run
    return {
        "elected": str(ledger.elected or ""),
        "epoch": ledger.epoch,
        "debt": ledger.debts[-1].state.value if ledger.debts else "none",
        "fences": tuple(sorted(ledger.fences)),
        "run": str(run.runbook) if run is not None else "",
        "parked": run.parked_step if run is not None else "",
        "paused": ledger.pause is not None,
        "foreign": bool(ledger.foreign),
    }
