"""What `watchdogd` exits with (INTERFACES section 7)."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes of the daemon and of its command line."""

    CLEAN = 0
    CONFIG = 2  # also a wrong command line; systemd does not restart on it (RestartPreventExitStatus=2)
    STATE_HELD = 3  # another daemon holds the state directory
    LOOP_DIED = 70
