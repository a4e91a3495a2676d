"""Everything that keeps a failover from happening, one line each: whoever deletes one must break a named test.

`GATES` are asked every time; `VETOES` are sightings; both by the name that people see.
"""

from __future__ import annotations

from watchdogd.core import gates

GATES: tuple[str, ...] = tuple(gates.GATES)
NAMED_GATES: tuple[str, ...] = ("node", "witness")  # one for each, with its name behind a colon
VETOES: tuple[str, ...] = (
    "a node of the elected cluster reads ACTIVE",
    "a node of the elected cluster reads FOLLOWS",
    "the secondary saw something move",
    "a witness sees the elected cluster",
    "an id other than pinned",
    "the secondary owes a debt",
    "somebody else made the secondary primary",
)
