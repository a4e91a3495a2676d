"""From an encoded answer and its one-time pad to the token, for all three eras."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.vectors import vectors
from watchdogd.adapters.vault.shares import decode_operation_token, fingerprint
from watchdogd.errors import MalformedReply
from watchdogd.secret import Secret

# Source: TRACE12 (1.2), GUIDE18 (UUID era), OBS (OpenBao); the 28-character one is computed from sdk/helper/roottoken.
KNOWN = [
    ("AnQ+CEkZCyEcUit5fnoiEBI8I1MYFSlXBE4", "qZkG8AAgu4l5KOdypXG1TQS8lz", "s.UOqXJFifGL55FibddbLDzoh4"),
    ("KmM6Ug5XWn0JIlFtABNfGgEPMTUtZSVQIUw", "YMjkyok8YhbYHx0psMfsG2Iamz", "s.P9w81EPJ34HkojrBWFjWl1L6"),
    ("KUcRHCYGJXoOcBFBAnRdcwN9IXF9Ug52KX8vdg", "A1b2C3d4E5f6G7h8I9j0K1l2M3n4", "hvs.e5ANKEwwEC5KJDKA6cbDdLAB"),
    ("cuplaFGYduDEY6ZVC5IfaA==", "vZpZZf5UI1nvB3A5/7Xq9A==", "cf703c0d-afcc-55b9-2b64-d66cf427f59c"),
]


@pytest.mark.parametrize(("encoded", "otp", "token"), KNOWN)
def test_a_published_token_decodes(encoded: str, otp: str, token: str) -> None:
    assert decode_operation_token(Secret(encoded), Secret(otp)).reveal() == token


def test_the_recorded_vectors_are_the_ones_above() -> None:
    recorded: dict[str, Any] = {v.name: v.body for v in vectors() if v.name.startswith("xor-decode")}
    assert {body["token"] for body in recorded.values()} == {token for _, _, token in KNOWN[1:]}


@given(length=st.sampled_from([26, 28]), data=st.data())
def test_any_token_comes_back_whole(length: int, data: st.DataObject) -> None:
    letters = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=length, max_size=length)
    token, otp = data.draw(letters), data.draw(letters)
    masked = bytes(a ^ b for a, b in zip(token.encode(), otp.encode(), strict=True))
    encoded = base64.b64encode(masked).decode().rstrip("=")
    assert decode_operation_token(Secret(encoded), Secret(otp)).reveal() == token


@pytest.mark.parametrize(
    ("encoded", "otp"),
    [
        ("", ""),
        ("AnQ+CEkZCyEcUit5fnoiEBI8I1MYFSlXBE4", "too short"),
        ("not base64!", "qZkG8AAgu4l5KOdypXG1TQS8lz"),
        ("AnQ+CEkZCyEcUit5fnoiEBI8I1MYFSlXBE4", "\x00" * 26),
        ("cuplaFGYduDEY6ZVC5IfaA==", "vZpZ"),
        ("é", "qZkG8AAgu4l5KOdypXG1TQS8lz"),
    ],
)
def test_what_does_not_fit_together_is_malformed_and_not_shown(encoded: str, otp: str) -> None:
    with pytest.raises(MalformedReply) as caught:
        decode_operation_token(Secret(encoded), Secret(otp))
    assert not encoded or encoded not in str(caught.value)


@given(encoded=st.text(max_size=60), otp=st.text(max_size=40))
def test_anything_decodes_or_is_malformed(encoded: str, otp: str) -> None:
    try:
        token = decode_operation_token(Secret(encoded), Secret(otp))
    except MalformedReply:
        return
    assert token.reveal().isprintable()


def test_a_fingerprint_names_a_token_without_giving_it_away() -> None:
    first, second = fingerprint(Secret("hvs.one")), fingerprint(Secret("hvs.two"))
    assert first == fingerprint(Secret("hvs.one")) != second
    assert len(first) == 16
    assert "hvs" not in first
