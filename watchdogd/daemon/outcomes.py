"""What the acting verbs answer, field by field, for the document of the API; tests compare real answers."""

from __future__ import annotations

from pydantic import BaseModel


class EveryPair(BaseModel):
    """It was done for every pair."""

    pairs: list[str]


class Paused(BaseModel):
    """Nothing starts until then; null: until `resume`."""

    pair: str
    paused: str
    until_utc_s: float | None


class Resumed(BaseModel):
    """The pause is over. `hold` says why an outage that exists already waits for `ack`; empty when none does."""

    pair: str
    paused: None
    hold: str


class Started(BaseModel):
    """The run that was started, or that goes on."""

    run_id: str
    pair: str


class Approved(BaseModel):
    """The plan was approved while its window runs: its run starts by itself once these gates are open, until then."""

    pair: str
    approved: str
    waits_for: list[str]
    until_utc_s: float


class Acknowledged(BaseModel):
    """What was acknowledged: the run or the hold; null when nothing waited for it."""

    pair: str
    acknowledged: str | None


class Elected(BaseModel):
    """The cluster that counts from now on."""

    pair: str
    elected: str
    epoch: int


class Forgiven(BaseModel):
    """The cluster whose debt orders nothing any more."""

    pair: str
    forgiven: str
    epoch: int


class Reloaded(BaseModel):
    """Every key that changed, and the pairs that were wired anew."""

    changed: list[str]
    rewired: list[str]
