"""Ports for servers that are told where to listen.

Not from port 0: what the kernel gives is free at that moment, over one protocol, on one address, and the next socket of
anybody may be given it again. A lab needs one port on twenty addresses, over TCP and, for its name servers, over UDP.
"""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")  # source: man 7 ip, `ip_local_port_range`
FIRST, TRIES = 10_000, 100


class NoFreePort(OSError):
    """None of the ports that were tried is free."""


def free_port() -> int:
    """A port that no socket has, and that the kernel gives to nobody who does not ask for it. Raises NoFreePort."""
    end = int(EPHEMERAL.read_text(encoding="ascii").split()[0])
    for _ in range(TRIES):
        port = FIRST + secrets.randbelow(end - FIRST)
        if is_free(port):
            return port
    raise NoFreePort(f"no free port found between {FIRST} and {end}")


def is_free(port: int) -> bool:
    """Whether a server could listen on `port` of every address of this machine, over TCP and UDP."""
    with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that have ended hold nobody up
        try:
            for sock in (tcp, udp):
                sock.bind(("", port))
        except OSError:
            return False
        return True
