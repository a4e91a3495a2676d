"""What of a command's output may be kept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdogd.secret import redact

TOKENS = [
    "hvs.CAESIJlWsKJ8m6W0bQ3-Zq_x",
    "hvb.AAAAAQJNZrNzl-4uVlUcN_Zsw",
    "hvr.CAESIA",
    "s.iyNUhq8Ov4hIAx6snw5mB2nL",
    "s.iyNUhq8Ov4hIAx6snw5mB2nL.namespaceid",
    "b.AAAAAQL_tyer_gNuQqvQYPVQgsNxjap",
    "eyJhbGciOiJFUzUxMiIsInR5cCI6IkpXVCJ9.eyJhY2Nlc3NvciI6IiJ9.MIGIAkIB",
]


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("around", ["{}", "token={} done", '{{"token":"{}"}}', "X-Vault-Token:{}\n", "({})"])
def test_what_looks_like_a_token_is_redacted(token: str, around: str) -> None:
    redacted = redact(around.format(token))
    assert token[6:] not in redacted
    assert "(redacted)" in redacted


@pytest.mark.parametrize(
    "text", ["fenced 3 nodes", "sg-0123456789 closed", "https://vault-east.example.com:8200", "s.o.s"]
)
def test_what_a_fence_usually_says_is_kept(text: str) -> None:
    assert redact(text) == text


@given(st.text(), st.sampled_from(TOKENS), st.text())
def test_no_token_survives_between_any_words(before: str, token: str, after: str) -> None:
    assert token not in redact(f"{before} {token} {after}")
