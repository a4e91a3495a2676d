"""What an answer of a write means (INTERFACES section 2), over every error that was documented or observed."""

from __future__ import annotations

import json

import pytest

from tests.support.vectors import Vector, vectors
from watchdogd.adapters.vault.verdicts import error_text, failure_of
from watchdogd.errors import OutcomeUnknown, Refusal, Refused

NOT_YET, DENIED, CONFLICT, UNSUPPORTED = Refusal.NOT_YET, Refusal.DENIED, Refusal.CONFLICT, Refusal.UNSUPPORTED
UNKNOWN = None
ERRORS = [
    v for v in vectors() if v.status is not None and v.status >= 400 and isinstance(v.body, dict) and "errors" in v.body
]


def errors(*texts: str) -> bytes:
    return json.dumps({"errors": texts}).encode()


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (503, 'replication is still catching up, try again later or provide the "force" argument', NOT_YET),
        (503, "1 error occurred:\n\t* replication is still catching up, try again later\n\n", NOT_YET),
        (429, "request path: rate limit quota exceeded", NOT_YET),
        (412, "required index state not present", NOT_YET),
        (473, "", NOT_YET),
        (307, "", NOT_YET),
        (403, "permission denied", DENIED),
        (403, "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n", DENIED),
        (400, "path disabled in replication DR secondary mode", DENIED),
        (400, "DR operation token was not provided", DENIED),
        (400, "Not a DR secondary.", DENIED),
        (404, "enterprise-only feature", UNSUPPORTED),
        (404, "1 error occurred:\n\t* unsupported path\n\n", UNSUPPORTED),
        (405, "", UNSUPPORTED),
        (400, "root generation already in progress for this namespace", CONFLICT),
        (400, 'incorrect nonce supplied; nonce for this root generation operation is "2dbd"', CONFLICT),
        (
            400,
            "incorrect strategy supplied; a generate root operation of another type is already in progress",
            CONFLICT,
        ),
        (400, "no root generation in progress", CONFLICT),
        (503, "Vault is sealed", UNKNOWN),
        (500, "local node not active but active cluster node not found", UNKNOWN),
        (500, "error unwrapping secondary token: i/o timeout", UNKNOWN),
        (502, "", UNKNOWN),
        (504, "", UNKNOWN),
        (501, "", UNKNOWN),
        (400, "1 error occurred:\n\t* leadership lost while committing log\n\n", UNKNOWN),
        (400, f"{'x' * 400}: leadership lost while committing log", UNKNOWN),
        (400, f"{'x' * 400}: replication is still catching up, try again later", NOT_YET),
        (408, "", UNKNOWN),
        (301, "", UNKNOWN),
        (100, "", UNKNOWN),
    ],
)
def test_an_answer_of_a_write_is_refused_only_where_it_was_certainly_not_applied(
    status: int, text: str, kind: Refusal | None
) -> None:
    failure = failure_of(status, errors(text) if text else b"<html>from a proxy</html>")
    match failure:
        case Refused():
            assert (failure.kind, failure.status) == (kind, status)
        case _:
            assert isinstance(failure, OutcomeUnknown)
            assert failure.answered
            assert kind is UNKNOWN


@pytest.mark.parametrize("case", ERRORS, ids=lambda case: case.name)
def test_every_documented_error_has_a_meaning_and_keeps_its_text(case: Vector) -> None:
    failure = failure_of(case.status or 0, case.raw)
    assert isinstance(failure, OutcomeUnknown) is (
        (case.status or 0) >= 500 and "still catching up" not in str(case.body)
    )
    assert all(" ".join(text.split())[:200] in str(failure) for text in case.body["errors"][:1])  # type: ignore[index]


@pytest.mark.parametrize("status", [200, 204, 299])
def test_any_2xx_is_accepted_also_with_warnings(status: int) -> None:
    assert failure_of(status, b'{"data":null,"warnings":["Vault will be unavailable for a brief period"]}') is None


def test_an_error_text_is_one_printable_line_of_bounded_length() -> None:
    assert error_text(errors("a\n\tb", "\x1b[31mred", "x" * 1000)) == ("a b; ?[31mred; " + "x" * 1000)[:300]
    assert error_text(b"\x00" * 9) == ""
    assert error_text(b'{"errors":"no list"}') == ""
