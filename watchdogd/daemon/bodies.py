"""What may be asked, field by field: requests are read by these types, and the document of the API shows them.

A name that is not here is refused: what it was meant to change would be lost without a word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, Literal, TypeAlias, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from watchdogd.core.commands import PROGRAM, Command
from watchdogd.core.gates import NAMED, WAITING_TIME, WAIVABLE
from watchdogd.core.plan import HASH_DIGITS
from watchdogd.daemon.protocol import PAUSE_S_MAX, REQUEST_ID_MAX, Caller

WHOLE_MAX = 2**63 - 1  # what the journal can compare with
GATE = f" *(?:{'|'.join(sorted(WAIVABLE - NAMED))}|(?:{'|'.join(sorted(NAMED))}):[^,]+)"

# What Python strips is no text, whatever else other readers of the pattern take for white space.
NOT_BLANK = r"[^\s\x1c-\x1f\x85]"
Text = Annotated[str, Field(pattern=NOT_BLANK), AfterValidator(str.strip)]
# Shown only: who waives a gate that has no waiver is answered with the gates that have one.
Gate: TypeAlias = Annotated[str, Field(json_schema_extra={"pattern": f"^{GATE}$"})]
Gates: TypeAlias = Annotated[str, Field(json_schema_extra={"pattern": f"^{GATE}(?:,{GATE})*$"})]
GatesOrNone: TypeAlias = Annotated[str, Field(json_schema_extra={"pattern": f"^(?:{GATE}(?:,{GATE})*)?$"})]
Startable: TypeAlias = Literal["failover", "settle-debt", "cutover-dns", "roll-back", "release-fence"]
NotThere: TypeAlias = Literal["switchover", "rejoin", "heal"]


def _whole(given: object) -> int:
    # 25.0 is an integer of JSON, and a client may spell it so.
    found = re.fullmatch(r"([0-9]+)(\.0+)?", given) if isinstance(given, str) else None
    if found is None:
        raise ValueError("Input should be a whole number")
    return int(found[1]) if len(found[1]) < len(str(WHOLE_MAX)) else WHOLE_MAX


Whole = Annotated[int, BeforeValidator(_whole)]


class Body(BaseModel):
    """The body of an order. The same `request_id` within 24 hours gets the first answer and acts once."""

    model_config = ConfigDict(extra="forbid", strict=True)
    request_id: Annotated[str, Field(max_length=REQUEST_ID_MAX), AfterValidator(str.strip)] | None = None


class Reasoned(Body):
    """An order with its reason, which is journalled with the uid."""

    reason: Text


class Excused(Body):
    """An order that needs no reason."""

    reason: Annotated[str, AfterValidator(str.strip)] | None = None


class Pausing(Reasoned):
    """For ever, or for so many seconds."""

    for_s: Annotated[float, Field(gt=0, le=PAUSE_S_MAX)] | None = None


class FailingOver(Reasoned):
    """The cluster to promote, and the gates to pass over, each by its name. `now` is the waiver of `window`."""

    target: Text
    now: bool = False
    waive: GatesOrNone | list[Gate] | None = None

    @property
    def waivers(self) -> frozenset[str]:
        """Every gate to pass over."""
        return frozenset((*words_of(self.waive), *([WAITING_TIME] if self.now else [])))


class Starting(Reasoned):
    """What a row asks for and waits with. `target` is the cluster that is, or becomes, primary."""

    runbook: Startable
    target: Text


class Approving(Excused):
    """The hash of a plan that was shown."""

    plan_hash: Annotated[str, Field(pattern=rf"^[0-9a-f]{{{HASH_DIGITS}}}$")]


class OfCluster(Reasoned):
    """An order about one cluster."""

    cluster: Text


class Proceeding(Reasoned):
    """The gates to pass over from here on, in this run only."""

    waive: Gates | Annotated[list[Gate], Field(min_length=1)]

    @property
    def waivers(self) -> tuple[str, ...]:
        """Every gate to pass over, as it was named."""
        return words_of(self.waive)


class NotThereYet(Reasoned):
    """Of an order whose procedure does not exist yet, anything is read and nothing is done."""

    model_config = ConfigDict(extra="allow", strict=True)


class Query(BaseModel):
    """What stands behind the question mark."""

    model_config = ConfigDict(extra="forbid")


class OfHistory(Query):
    """Which entries."""

    pair: str | None = None
    limit: Annotated[Whole, Field(ge=1)] = 50
    before: Annotated[Whole, Field(ge=0)] | None = None


class OfPlan(Query):
    """Which run. Without a target: the one that the row, or a failover now, is about."""

    action: Startable | NotThere = "failover"
    target: str = ""
    waive: GatesOrNone = ""

    @property
    def waivers(self) -> frozenset[str]:
        """Every gate to pass over."""
        return frozenset(words_of(self.waive))


Given = TypeVar("Given", covariant=True)
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order(Generic[Given]):
    """One request that was read: what it names, who asks, and its body, or what stood behind the question mark."""

    verb: str
    pair: str
    run_id: str
    caller: Caller
    given: Given

    @property
    def uid(self) -> int:
        """Who is written down for it."""
        return self.caller.uid


class Unreadable(ValueError):
    """A request of which something is wrong; the message names all of it, in one sentence."""


def read(model: type[Model], given: Mapping[str, object]) -> Model:
    """What was given, with every text stripped. Raises: Unreadable."""
    try:
        return model.model_validate(dict(given))
    except ValidationError as exc:
        errors = exc.errors(include_url=False, include_input=False)
        told = {(str(error["loc"][0]) if error["loc"] else "body"): error for error in errors}
        raise Unreadable("; ".join(f"{field}: {_said(field, error)}" for field, error in told.items())) from None


def words_of(given: str | Sequence[str] | None) -> tuple[str, ...]:
    """A list of texts, or one text with commas, as its words; what is blank is left out."""
    words = given.split(",") if isinstance(given, str) else given or ()
    return tuple(word.strip() for word in words if word.strip())


def _said(field: str, error: ErrorDetails) -> str:
    is_blank = error.get("ctx", {}).get("pattern") == NOT_BLANK
    if field == "reason" and (is_blank or error["type"] == "missing"):
        return "a reason is needed: it is journalled with your uid"
    if field == "plan_hash":
        return f"no hash of a plan: {HASH_DIGITS} digits, as `{PROGRAM} {Command.PLAN}` ends with them"
    return "it must not be blank" if is_blank else error["msg"].replace("Value error, ", "")
