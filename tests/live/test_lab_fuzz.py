"""The whole lab over its TLS sockets: whatever bytes come, an answer of Vault's shape goes back, and it lives."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.support.lab_requests import REQUESTS, LabRequest, filled_in, wrong_shape
from watchdogd.lab.knobs import Knobs
from watchdogd.lab.serve import ServedLab, Settings
from watchdogd.lab.serve_socket import bound
from watchdogd.lab.serve_up import running
from watchdogd.lab.spec import WorldSpec
from watchdogd.lab.wire import Place

pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

MIXED = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
HURT = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
PATIENCE_S, SOON_S = 5.0, 0.1
# What ends the lab's usefulness for the requests after it: allowed, and tried in memory.
ENDINGS = ("sys/seal", "sys/step-down", "auth/token/revoke", "sys/rekey", "sys/init")


@dataclass(slots=True)
class Background:
    """A lab that is served by a thread of its own."""

    directory: Path
    port: int
    lab: ServedLab | None = None

    def serve(self, is_up: threading.Event, is_over: threading.Event) -> None:
        asyncio.run(self._serve(is_up, is_over))

    async def _serve(self, is_up: threading.Event, is_over: threading.Event) -> None:
        knobs = Knobs(promote_s=0.1, demote_s=0.1, latency_s=0.0)
        spec = WorldSpec(port=self.port, knobs=knobs)
        async with running(Settings(spec=spec, seed=1, epoch_utc_s=1_795_315_464.0, directory=self.directory)) as (
            self.lab,
            _,
        ):
            is_up.set()
            while not is_over.is_set():
                await asyncio.sleep(0.02)

    @property
    def there(self) -> ServedLab:
        assert self.lab is not None
        return self.lab

    def said(self, target: str, sent: bytes, *, within_s: float) -> bytes:
        """All that comes back until the connection is closed; raises TimeoutError when it stays open."""
        context = ssl.create_default_context(cafile=str(self.directory / "ca.pem"))
        context.check_hostname = False
        address = (self.there.settings.spec.ip(Place.BASTION, target), self.port)
        with (
            socket.create_connection(address, timeout=PATIENCE_S) as plain,
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
    with bound("127.1.1.1", 0, socket.SOCK_STREAM) as probe:
        port = int(probe.getsockname()[1])
    background = Background(tmp_path_factory.mktemp("lab"), port)
    is_up, is_over = threading.Event(), threading.Event()
    thread = threading.Thread(target=background.serve, args=(is_up, is_over))
    thread.start()
    assert is_up.wait(20)
    yield background
    is_over.set()
    thread.join(20)


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
    assert lab.there.world.crashed == []
    said = lab.said("west/2", b"GET /v1/sys/seal-status HTTP/1.0\r\n\r\n", within_s=PATIENCE_S)
    assert said.split(b" ", 2)[1] == b"200"


@MIXED
@given(request=REQUESTS)
def test_every_request_gets_an_answer(lab: Background, request: LabRequest) -> None:
    assume(not request.path.startswith(ENDINGS))
    said = lab.said(request.target, spoken(request, lab.there), within_s=PATIENCE_S)
    head, _, body = said.partition(b"\r\n\r\n")
    if said or not request.path.startswith("sys/health"):
        assert head.startswith(b"HTTP/1.1 "), said
        assert wrong_shape(request, int(head.split()[1]), body) == ""
    still_lives(lab)


@HURT
@given(request=REQUESTS, at=st.floats(0, 1), cut=st.integers(0, 20), put=st.binary(max_size=12))
def test_bytes_that_were_hurt_on_the_way_get_an_answer_or_wait_for_more(
    lab: Background, request: LabRequest, at: float, cut: int, put: bytes
) -> None:
    assume(not request.path.startswith(ENDINGS))
    whole = spoken(request, lab.there)
    place = int(at * len(whole))
    try:
        said = lab.said(request.target, whole[:place] + put + whole[place + cut :], within_s=SOON_S)
    except TimeoutError:
        said = b""
    assert said == b"" or said.startswith(b"HTTP/1."), said
    still_lives(lab)
