"""The whole lab over its TLS sockets: whatever bytes come, an answer of Vault's shape goes back, and it lives."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.support.lab_requests import REQUESTS, LabRequest, filled_in, wrong_shape
from tests.support.served_lab import Background, served_lab
from watchdogd.lab.serve import ServedLab

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

MIXED = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
HURT = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
PATIENCE_S, SOON_S = 5.0, 0.1
# What ends the lab's usefulness for the requests after it: allowed, and tried in memory.
ENDINGS = ("sys/seal", "sys/step-down", "auth/token/revoke", "sys/rekey", "sys/init")


def said(lab: Background, target: str, sent: bytes, *, within_s: float) -> bytes:
    """All that comes back until the connection is closed; raises TimeoutError when it stays open."""
    context = ssl.create_default_context(cafile=str(lab.ca_file))
    context.check_hostname = False
    with (
        socket.create_connection(lab.address(target), timeout=PATIENCE_S) as plain,
        context.wrap_socket(plain, server_hostname="x") as sock,
    ):
        sock.settimeout(within_s)
        sock.sendall(sent)
        received = b""
        with suppress(ConnectionResetError):
            while more := sock.recv(65536):
                received += more
        return received


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Background]:
    with served_lab(tmp_path_factory.mktemp("lab")) as background:
        yield background


def spoken(request: LabRequest, lab: ServedLab) -> bytes:
    """The request as its bytes."""
    has = lab.world.credentials()
    body = filled_in(request.body.decode("latin-1"), has).encode("latin-1")
    lines = [
        f"{request.method} /v1/{quote(request.path, safe='/?=&+$')} HTTP/1.1",
        "Host: vault",
        "Connection: close",
        f"X-Vault-Token: {filled_in(request.token, has)}",
        f"Content-Length: {len(body)}",
        *request.headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def still_lives(lab: Background) -> None:
    assert lab.lab.world.crashed == []
    answer = said(lab, "west/2", b"GET /v1/sys/seal-status HTTP/1.0\r\n\r\n", within_s=PATIENCE_S)
    assert answer.split(b" ", 2)[1] == b"200"


@MIXED
@given(request=REQUESTS)
def test_every_request_gets_an_answer(lab: Background, request: LabRequest) -> None:
    assume(not request.path.startswith(ENDINGS))
    answer = said(lab, request.target, spoken(request, lab.lab), within_s=PATIENCE_S)
    head, _, body = answer.partition(b"\r\n\r\n")
    if answer or not request.path.startswith("sys/health"):
        assert head.startswith(b"HTTP/1.1 "), answer
        assert wrong_shape(request, int(head.split()[1]), body) == ""
    still_lives(lab)


@HURT
@given(request=REQUESTS, at=st.floats(0, 1), cut=st.integers(0, 20), put=st.binary(max_size=12))
def test_bytes_that_were_hurt_on_the_way_get_an_answer_or_wait_for_more(
    lab: Background, request: LabRequest, at: float, cut: int, put: bytes
) -> None:
    assume(not request.path.startswith(ENDINGS))
    whole = spoken(request, lab.lab)
    place = int(at * len(whole))
    try:
        answer = said(lab, request.target, whole[:place] + put + whole[place + cut :], within_s=SOON_S)
    except TimeoutError:
        answer = b""
    assert answer == b"" or answer.startswith(b"HTTP/1."), answer
    still_lives(lab)
