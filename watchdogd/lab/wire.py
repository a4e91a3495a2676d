"""What goes over the seam: one HTTP request into the world, and what its sender sees of the answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Place(StrEnum):
    """Who asks. The number in an address `127.PLACE.CLUSTER.NODE` is the member's position, from 1."""

    BASTION = "bastion"
    CLIENTS = "clients"
    INTERIOR = "interior"


class Outcome(StrEnum):
    """What the sender's socket shows. Everything but ANSWER and GARBAGE has no bytes."""

    ANSWER = "answer"
    REFUSE = "refuse"  # RST at connect: nothing was sent
    DROP = "drop"  # nothing ever comes back: black hole, or a full accept queue
    RESET = "reset"  # accepted, applied or not as the fault says, then RST
    GARBAGE = "garbage"  # `body` is written raw instead of HTTP
    UNTRUSTED = "untrusted"  # the certificate is refused by its sender, nothing was sent; `body` names the flaw
    HANG = "hang"  # accepted and read, never answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """One request as the world sees it. `target` is `east/1` for a node, `east/lb` for a load balancer.

    Header names may come in any case. `path_and_query` starts with `/v1/`.
    """

    place: str
    target: str
    method: str
    path_and_query: str
    headers: Mapping[str, str] = field(default_factory=lambda: NO_HEADERS)
    body: bytes = b""
    is_trusting: bool = True  # the sender knows the authority that signed the certificate
    shook_hands: bool = False  # over sockets: the sender has seen the certificate, and goes on


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What came back. `delay_s` is the time until the outcome shows; it means nothing for DROP and HANG."""

    outcome: Outcome
    delay_s: float = 0.0
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=lambda: NO_HEADERS)
    body: bytes = b""
