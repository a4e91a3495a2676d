"""What systemd is told, on a real datagram socket."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from watchdogd.adapters.clock import monotonic_usec
from watchdogd.adapters.systemd import STATUS_BYTES_MAX, ServiceManager, from_environment


@pytest.fixture(params=["path", "abstract"])
def heard(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """An address as $NOTIFY_SOCKET gives it, and the socket that listens there."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@{tmp_path.name}-{id(request)}"
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listening:
        listening.bind("\0" + name[1:] if name.startswith("@") else name)
        listening.settimeout(5)
        yield name, listening


def test_every_message_is_one_datagram(heard: tuple[str, socket.socket]) -> None:
    address, listening = heard
    manager = ServiceManager(address=address)
    assert manager.ready("watching prod")
    assert listening.recv(4096) == b"READY=1\nSTATUS=watching prod"
    assert manager.alive()
    assert listening.recv(4096) == b"WATCHDOG=1"
    assert manager.status("prod: east is down\nWATCHDOG=1")
    assert listening.recv(4096) == b"STATUS=prod: east is down WATCHDOG=1"
    before = monotonic_usec()
    assert manager.reloading("reads the config again")
    said = dict(line.split(b"=") for line in listening.recv(4096).split(b"\n"))
    assert before <= int(said.pop(b"MONOTONIC_USEC")) <= monotonic_usec()
    assert said == {b"RELOADING": b"1", b"STATUS": b"reads the config again"}
    assert manager.stopping("parked at a safe point")
    assert listening.recv(4096) == b"STOPPING=1\nSTATUS=parked at a safe point"


def test_a_long_status_is_cut_to_what_systemd_reads(heard: tuple[str, socket.socket]) -> None:
    address, listening = heard
    assert ServiceManager(address=address).ready("é" * 5000)
    assert listening.recv(65536).decode() == "READY=1\nSTATUS=" + "é" * (STATUS_BYTES_MAX // 2)


def test_a_listener_that_does_not_read_never_blocks_us(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as listening:
        listening.bind(address)
        manager = ServiceManager(address=address)
        assert not all(manager.alive() for _ in range(10_000))


@pytest.mark.parametrize("address", ["", "relative", "vsock:2:1234", "/no/such/socket", "@nobody-listens-here"])
def test_without_a_service_manager_nothing_happens(address: str) -> None:
    assert not ServiceManager(address=address).ready("up")


def test_the_environment_says_who_started_us_and_whether_it_watches() -> None:
    environ = {"NOTIFY_SOCKET": "/run/systemd/notify", "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "42"}
    assert ServiceManager.of(environ, 42) == ServiceManager(address="/run/systemd/notify", watchdog_s=30.0)
    assert ServiceManager.of(environ, 43).watchdog_s is None
    assert ServiceManager.of({"WATCHDOG_USEC": "5"}, 1).watchdog_s == 0.000005
    for usec in ("", "0", "soon", "-1"):
        assert ServiceManager.of({"WATCHDOG_USEC": usec}, 1).watchdog_s is None


def test_the_environment_of_this_process_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "@here")
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    assert from_environment() == ServiceManager(address="@here")
