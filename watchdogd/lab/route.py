"""What a route is: a path with its verbs, who answers it, and where it is written down."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Flag, auto

from watchdogd.lab.call import Call
from watchdogd.lab.reply import Reply

Handler = Callable[[Call], Reply]


class Trait(Flag):
    """What is special about a route."""

    NONE = 0
    LOCAL = auto()  # every node answers it itself, sealed or not
    ON_DR_SECONDARY = auto()  # stays open there (section 6)
    REDIRECTED = auto()  # a standby sends the client to the active node, and forwards nothing (BAO-HANDLER)


@dataclass(frozen=True, slots=True)
class Route:
    """One path. `methods` are Vault's verbs (PUT stands for POST too)."""

    methods: str
    pattern: str
    handler: Handler
    source: str
    trait: Trait = Trait.NONE


LOCAL = Trait.LOCAL | Trait.ON_DR_SECONDARY
ON_DR = Trait.ON_DR_SECONDARY
