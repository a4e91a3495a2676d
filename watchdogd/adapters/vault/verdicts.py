"""What a status and an error text mean for a request that wanted to change something (INTERFACES section 2).

Texts are matched by substring, never as whole sentences: the same error comes bare or as `1 error occurred: …`.
"""

from __future__ import annotations

from collections.abc import Sequence

from watchdogd.adapters.vault.shape import decode
from watchdogd.errors import MalformedReply, OutcomeUnknown, Refusal, Refused, WatchdogError

TEXT_CHARS_SHOWN = 300

# Source: the helper of hashicorp/vault sdk/helper/testcluster retries exactly this answer of `promote`.
STILL_CATCHING_UP = "still catching up"
# A write that answered 400 with the first of these had been committed (observed on OpenBao 2.7): where the request
# died half-way, the status says nothing about what was applied.
HALF_WAY = ("leadership lost", "leadership transfer", "context canceled", "context deadline exceeded")
# Source: vault/generate_root.go: the one slot of the cluster is taken, or no longer ours.
SLOT_TAKEN = (
    "generation already in progress",
    "no root generation in progress",
    "incorrect nonce supplied",
    "incorrect strategy supplied",
)
NOT_YET_STATUSES = frozenset({307, 412, 429, 473})  # 307: a standby that names the active node; never followed
UNSUPPORTED_STATUSES = frozenset({404, 405})
REQUEST_TIMEOUT = 408  # never Vault's own; a proxy's, and then nobody knows


def failure_of(status: int, body: bytes, hide: Sequence[str] = ()) -> WatchdogError | None:
    """What to raise for an answer with `status`; None where the request was accepted (any 2xx).

    What is in `hide` was in the request and is never shown, also when the server sends it back.

    A sealed node's 503 of a write is OutcomeUnknown: during a role change the active node tears itself down, and the
    request that caused it may be the one that is answered so. Observation tells.
    """
    if 200 <= status < 300:
        return None
    text, told = _line(body), error_text(body, hide)
    shown = f"{status}: {told}" if told else str(status)
    if status == REQUEST_TIMEOUT or any(part in text for part in HALF_WAY):
        return OutcomeUnknown(shown, answered=True)
    if status in NOT_YET_STATUSES or STILL_CATCHING_UP in text:
        return Refused(Refusal.NOT_YET, shown, status=status)
    if not 400 <= status < 500:
        return OutcomeUnknown(shown, answered=True)
    if any(part in text for part in SLOT_TAKEN):
        return Refused(Refusal.CONFLICT, shown, status=status)
    if status in UNSUPPORTED_STATUSES:
        return Refused(Refusal.UNSUPPORTED, shown, status=status)
    return Refused(Refusal.DENIED, shown, status=status)


def error_text(body: bytes, hide: Sequence[str] = ()) -> str:
    """The `errors` of an answer on one line of at most TEXT_CHARS_SHOWN characters; empty where it has none."""
    line = _line(body)
    for secret in hide:
        line = line.replace(secret, "***")
    return "".join(c if c.isprintable() else "?" for c in line)[:TEXT_CHARS_SHOWN]


def _line(body: bytes) -> str:
    """All of the `errors` on one line: what they mean may stand behind what is shown of them."""
    try:
        errors = decode("errors", body).texts_or_none("errors") or ()
    except MalformedReply:
        return ""
    return " ".join("; ".join(errors).split())
