"""What the state directory says while no daemon answers: read-only, never live, and always told with its age.

It loads no third-party package, as all of `watchdogctl`: the journal's own strict reader needs more than that.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from watchdogd.adapters.store import schema
from watchdogd.adapters.store.schema import Schema
from watchdogd.adapters.store.trouble import StateUnreadable
from watchdogd.core.entries import ENTRY_TYPES, Entry, Runbook, RunOutcome, Stamp
from watchdogd.core.explain import Json, Shape
from watchdogd.core.fold import fold
from watchdogd.core.ledger import FenceState, Ledger, Run
from watchdogd.core.model import PairId
from watchdogd.core.parked import PROMOTE, PROMOTE_BACK

PROMOTIONS = (PROMOTE_BACK, PROMOTE)  # the later one first
DEFAULT_STATE_DIR = "/var/lib/watchdogd"


class NothingKept(Exception):
    """There is no state that can be read; the text says why."""


def last_known(state_dir: Path, now: datetime) -> Shape:
    """Every pair as the journal adds up, and how long ago anybody looked. Raises: NothingKept."""
    try:
        journals = {pair: fold(entries) for pair, entries in _entries(state_dir).items()}
        looked = _looked_utc_s(state_dir)
    except PermissionError as exc:
        raise NothingKept(f"{state_dir} may not be read by this user") from exc
    except StateUnreadable as exc:
        raise NothingKept(f"{exc.path}: {exc.detail}") from exc
    except (OSError, sqlite3.Error) as exc:
        why = exc.strerror if isinstance(exc, OSError) else None
        whose = "is it the `state_dir` of its config? else --state-dir PATH"
        raise NothingKept(f"{state_dir}: {why or exc}; {whose}") from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise NothingKept(f"{state_dir}: not the journal of this version ({type(exc).__name__}: {exc})") from exc
    if not journals:
        raise NothingKept(f"{state_dir}: nothing was ever written down")
    pairs: list[Json] = [_pair(pair, ledger, looked.get(pair), now) for pair, ledger in sorted(journals.items())]
    return {"live": False, "state_dir": str(state_dir), "pairs": pairs}


def _rows(state_dir: Path, of: Schema, query: str) -> Iterator[tuple[str | float, ...]]:
    """Of a file that nobody may change by looking at it, and that this version can read."""
    path = state_dir / of.file_name
    path.stat()  # its own error says more than SQLite's
    has_log = path.with_name(path.name + "-wal").exists()
    mode = "mode=ro" if has_log else "mode=ro&immutable=1"  # without a log there is nothing to recover or to make
    with closing(
        sqlite3.connect(f"file:{quote(str(path))}?{mode}", uri=True, timeout=schema.BUSY_TIMEOUT_S)
    ) as connection:
        schema.check_version(connection, path, of)
        yield from connection.execute(query)


def _entries(state_dir: Path) -> dict[PairId, list[tuple[Entry, Stamp]]]:
    found: dict[PairId, list[tuple[Entry, Stamp]]] = {}
    for pair, at_s, at_utc_s, boot_id, kind, body in _rows(
        state_dir, schema.JOURNAL, "SELECT pair, at_s, at_utc_s, boot_id, kind, body FROM entries ORDER BY seq"
    ):
        stamp = Stamp(at_s=float(at_s), at_utc_s=float(at_utc_s), boot_id=str(boot_id))
        found.setdefault(PairId(str(pair)), []).append((_entry(str(kind), json.loads(str(body))), stamp))
    return found


def _entry(kind: str, body: Mapping[str, object]) -> Entry:
    enums = {"runbook": Runbook, "outcome": RunOutcome}
    given = {
        key: enums[key](str(value)) if key in enums else tuple(value) if isinstance(value, list) else value
        for key, value in body.items()
    }
    return ENTRY_TYPES[kind](**given)


def _looked_utc_s(state_dir: Path) -> dict[PairId, float]:
    if not (state_dir / schema.MEMORY.file_name).exists():
        return {}
    rows = _rows(state_dir, schema.MEMORY, "SELECT pair, value FROM remembered WHERE key = 'heartbeat'")
    return {PairId(str(pair)): float(json.loads(str(value))["at_utc_s"]) for pair, value in rows}


def _pair(pair: PairId, ledger: Ledger, looked_utc_s: float | None, now: datetime) -> Shape:
    written_utc_s = ledger.last.at_utc_s if ledger.last is not None else 0.0
    run, debt = ledger.run, ledger.open_debt
    return {
        "pair": pair,
        "age_s": round(now.timestamp() - max(written_utc_s, looked_utc_s or 0.0), 1),
        "elected": ledger.elected,
        "epoch": ledger.epoch,
        "run": f"{run.runbook.value} {run.run_id} is {run.state.value}" if run is not None else None,
        "promote": _promote(run) if run is not None else None,
        "paused": ledger.pause.reason if ledger.pause is not None else None,
        "hold": ledger.hold,
        "foreign": ledger.foreign,
        "debtor": debt.debtor if debt is not None else None,
        "fences": [*ledger.fences],
        "fences_unsure": [fence.cluster for fence in ledger.fences.values() if fence.state is not FenceState.HELD],
    }


def _promote(run: Run) -> str | None:
    """How far the promotion of an open run came; None where none was asked for."""
    name = next((name for name in PROMOTIONS if run.step(name).intents), "")
    if not name:
        return None
    is_back = name == PROMOTE_BACK and run.runbook is Runbook.FAILOVER
    step, promoted = run.step(name), run.source if is_back else run.target
    if step.done:
        return f"{promoted} was promoted"
    if step.was_never_applied:
        return f"{promoted} was asked, and refused: it is not promoted"
    return f"WAS SENT to {promoted}, and its outcome was not seen: {promoted} may be a primary"
