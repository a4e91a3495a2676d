from __future__ import annotations

import socket

import pytest

from watchdogd.rehearsal.free_ports import EPHEMERAL, FIRST, free_port, is_free

NODE = "127.1.2.3"  # one address of many: a lab needs the port on all of its own


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_port_that_one_socket_has_on_one_address_is_not_free(kind: socket.SocketKind) -> None:
    port = free_port()
    with socket.socket(type=kind) as sock:
        sock.bind((NODE, port))
        if kind is socket.SOCK_STREAM:
            sock.listen()
        assert not is_free(port)
    assert is_free(port)


def test_nobody_is_given_the_port_who_asks_the_kernel_for_any() -> None:
    ephemeral = int(EPHEMERAL.read_text(encoding="ascii").split()[0])
    ports = {free_port() for _ in range(50)}
    assert len(ports) > 40
    assert all(FIRST <= port < ephemeral for port in ports)
