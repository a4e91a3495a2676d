"""What the service name publishes, compared with the elected cluster: the premise of the N rows of DESIGN section 5."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from watchdogd.core.model import ClusterId

_ESCAPE = re.compile(r"\\([0-7]{3})")


class NameSeen(StrEnum):
    """What the servers that answered publish, all of them together."""

    PUBLISHES_ELECTED = "publishes_elected"
    PUBLISHES_PARTNER = "publishes_partner"
    PUBLISHES_THIRD = "publishes_third"  # nothing at all, or the address of no cluster of the pair
    DISAGREE = "disagree"
    CANNOT_ASK = "cannot_ask"


@dataclass(frozen=True, slots=True, kw_only=True)
class NameFact:
    """One look at the service name.

    `serving` is the cluster that every answering server publishes. `published` holds each different answer once,
    sorted; the empty string is "there is nothing". `off_target` are the servers that answered something else than the
    elected cluster's name, `unasked` those that could not be asked. Decide on `seen`: both are empty, too, when there
    was no server to ask, and that is CANNOT_ASK.
    """

    seen: NameSeen
    serving: ClusterId | None = None
    published: tuple[str, ...] = ()
    off_target: tuple[str, ...] = ()
    unasked: tuple[str, ...] = ()


def bare_name(text: str) -> str:
    """`text` as names are compared here: lower case, no trailing dot, no quotes, Route 53's octal escapes undone.

    Source: docs.aws.amazon.com/Route53/latest/DeveloperGuide/DomainNameFormat.html (names are stored in lower case,
    other characters come back as an escape code backslash and three octal digits), read 2026-11.
    """
    unquoted = text.strip().strip('"').rstrip(".")
    return _ESCAPE.sub(lambda match: chr(int(match[1], 8)), unquoted).lower()


def name_fact(
    by_server: Mapping[str, str | None], targets: Mapping[ClusterId, str], elected: ClusterId | None
) -> NameFact:
    """Compare what each server answered (None: could not be asked) with the target of each cluster.

    A server that could not be asked neither agrees nor disagrees. With nobody elected a known target counts as
    PUBLISHES_PARTNER, which moves nothing: a name only ever moves to an elected active primary.
    """
    cluster_of = {bare_name(target): cluster for cluster, target in targets.items()}
    answers = {server: bare_name(answer) for server, answer in by_server.items() if answer is not None}
    published = tuple(sorted(set(answers.values())))
    serving = cluster_of.get(published[0]) if len(published) == 1 else None
    return NameFact(
        seen=_seen(published, serving, elected),
        serving=serving,
        published=published,
        off_target=tuple(
            server for server, answer in answers.items() if elected is None or cluster_of.get(answer) != elected
        ),
        unasked=tuple(server for server, answer in by_server.items() if answer is None),
    )


def _seen(published: tuple[str, ...], serving: ClusterId | None, elected: ClusterId | None) -> NameSeen:
    if not published:
        return NameSeen.CANNOT_ASK
    if len(published) > 1:
        return NameSeen.DISAGREE
    if serving is None:
        return NameSeen.PUBLISHES_THIRD
    return NameSeen.PUBLISHES_ELECTED if serving == elected else NameSeen.PUBLISHES_PARTNER
