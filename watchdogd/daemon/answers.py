"""The answers that were given, by request id: asking again within a day gets the first one, over a restart too."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from watchdogd.core.entries import Stamp
from watchdogd.core.explain import Shape
from watchdogd.core.ledger import Ledger
from watchdogd.core.model import EVERY_PAIR, PairId
from watchdogd.daemon.bodies import Body, Order
from watchdogd.daemon.keeping import stamp_kept, stamp_of
from watchdogd.daemon.protocol import (
    ACCEPTED,
    ANSWERS_KEPT_S,
    STARTING,
    TOO_MANY,
    Answer,
    Code,
    refuse,
)
from watchdogd.ports import Memory

ANSWERS = "answers"
STARTING_VERBS = frozenset({"failover", "start", "approve"})
KEPT_MAX = 100  # the newest; one value of the memory holds them all
KEPT_BYTES_MAX = 48 * 1024  # of the 64 KiB that one value may have


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """One answer, to whom, to what, and when."""

    what: str
    at: Stamp
    answer: Answer


class AnswerBook:
    """Reads what an earlier daemon answered when it is made; keeps what this one answers."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._given = _read(memory.get(EVERY_PAIR, ANSWERS))

    def first(self, order: Order[Body], now: Stamp) -> Answer | None:
        """The first answer to this id, or a refusal when it was used for something else; None when it is new."""
        given = self._given.get(_key(order))
        if given is None or given.at.age_s(now) >= ANSWERS_KEPT_S:
            return None
        if given.what != _what(order):
            return refuse(Code.STALE, f"this request_id was used for {given.what}: every request has its own")
        return given.answer

    async def keep(self, order: Order[Body], answer: Answer, now: Stamp) -> None:
        """Remember `answer`, when the request has an id. What may be otherwise a moment later is not kept."""
        if not order.given.request_id or answer.status in (TOO_MANY, STARTING):
            return
        young = {key: one for key, one in self._given.items() if one.at.age_s(now) < ANSWERS_KEPT_S}
        young[_key(order)] = Given(what=_what(order), at=now, answer=answer)
        self._given = dict([*young.items()][-KEPT_MAX:])
        kept = {key: _kept(one) for key, one in self._given.items() if one.answer.is_lasting}
        while len(json.dumps(kept)) > KEPT_BYTES_MAX and len(kept) > 1:
            del kept[next(iter(kept))]
        await self._memory.put(EVERY_PAIR, {ANSWERS: kept})


def begun(ledgers: Mapping[PairId, Ledger], order: Order[Body], now: Stamp) -> Answer | None:
    """The answer of the run that this request began before we died and its answer was not kept; None when none did."""
    for pair, ledger in ledgers.items():
        for run in ledger.runs:
            if (run.request_id, run.asked_by_uid) != (order.given.request_id, order.uid):
                continue
            if run.opened.age_s(now) >= ANSWERS_KEPT_S:
                continue
            if order.verb not in STARTING_VERBS or order.pair != pair:
                return refuse(Code.STALE, f"this request_id began {run.run_id}: every request has its own")
            return Answer(status=ACCEPTED, body={"run_id": run.run_id, "pair": pair})
    return None


def _key(order: Order[Body]) -> str:
    return f"{order.uid} {order.given.request_id}"


def _what(order: Order[Body]) -> str:
    return " ".join(word for word in (order.verb, order.pair, order.run_id) if word)


def _kept(given: Given) -> dict[str, object]:
    answer = given.answer
    return {"what": given.what, "at": stamp_kept(given.at), "status": answer.status, "body": answer.body}


def _read(kept: Mapping[str, object] | None) -> dict[str, Given]:
    found = {key: _given_of(one) for key, one in (kept or {}).items()}
    return {key: one for key, one in found.items() if one is not None}


def _given_of(kept: object) -> Given | None:
    """What was kept; None for what cannot be read: then it was never answered."""
    if not isinstance(kept, Mapping):
        return None
    at, status, body, what = stamp_of(kept.get("at")), kept.get("status"), kept.get("body"), kept.get("what")
    if at is None or not isinstance(status, int) or not isinstance(body, dict) or not isinstance(what, str):
        return None
    return Given(what=what, at=at, answer=Answer(status=status, body=cast(Shape, body)))
