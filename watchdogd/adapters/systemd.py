"""What systemd is told: datagrams to $NOTIFY_SOCKET. Source: sd_notify(3), sd_watchdog_enabled(3)."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from watchdogd.adapters.clock import monotonic_usec

MICROSECONDS_PER_S = 1_000_000
STATUS_BYTES_MAX = (
    2000  # systemd ignores a datagram of more than PIPE_BUF (4096). Source: NOTIFY_BUFFER_MAX, src/core/manager.c
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceManager:
    """Who started us. Without an address every message is silently dropped; nothing here blocks or raises."""

    address: str = ""
    watchdog_s: float | None = None  # it restarts us when it hears nothing for this long; None: it does not watch

    @classmethod
    def of(cls, environ: Mapping[str, str], pid: int) -> ServiceManager:
        """As `environ` of the process `pid` says."""
        usec, for_pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", str(pid))
        watched = usec.isdigit() and int(usec) > 0 and for_pid == str(pid)
        return cls(
            address=environ.get("NOTIFY_SOCKET", ""),
            watchdog_s=int(usec) / MICROSECONDS_PER_S if watched else None,
        )

    def ready(self, status: str) -> bool:
        """Started, or reloaded."""
        return self._send("READY=1", _status(status))

    def status(self, status: str) -> bool:
        """One line for `systemctl status`."""
        return self._send(_status(status))

    def reloading(self, status: str) -> bool:
        """A reload begins; `ready` ends it. `Type=notify-reload` (systemd >= 253) waits for both."""
        return self._send("RELOADING=1", f"MONOTONIC_USEC={monotonic_usec()}", _status(status))

    def alive(self) -> bool:
        """Feed the watchdog. When is said in INTERFACES section 1; never from a bare timer."""
        return self._send("WATCHDOG=1")

    def stopping(self, status: str) -> bool:
        """The end begins."""
        return self._send("STOPPING=1", _status(status))

    def _send(self, *lines: str) -> bool:
        if self.address[:1] not in ("/", "@"):
            return False
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notifying:
                notifying.setblocking(False)
                notifying.sendto("\n".join(lines).encode(), address)
        except OSError:
            return False
        return True


def from_environment() -> ServiceManager:
    """The service manager of this very process."""
    return ServiceManager.of(os.environ, os.getpid())


def _status(text: str) -> str:
    line = " ".join(text.split()).encode()[:STATUS_BYTES_MAX]
    return "STATUS=" + line.decode(errors="ignore")
