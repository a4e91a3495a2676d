"""Why state cannot be used: what is wrong, and the way out."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from watchdogd.errors import ConfigError


class Trouble(StrEnum):
    """What is wrong with a file of ours."""

    GONE = "gone"  # it was here, and only its companions are left
    NEWER = "newer"  # written by a newer version
    NOT_OURS = "not_ours"
    CORRUPT = "corrupt"
    CHAIN = "chain"  # an entry was changed, removed or added by something else than append
    ENTRY = "entry"  # an entry that this version cannot read
    IO = "io"  # the disk, the permissions, another process; the file itself may be fine


_BACKUP = (
    "Restore it from a backup; or move the whole state directory aside, after making sure by hand which cluster is "
    "primary, that no fence is held and that no run was open: the daemon then begins with what it sees"
)
WAY_OUT = {
    Trouble.GONE: _BACKUP,
    Trouble.NEWER: "Start the version that wrote it, or restore the backup from before the upgrade",
    Trouble.NOT_OURS: "Check state_dir: something else lives there",
    Trouble.CORRUPT: _BACKUP,
    Trouble.CHAIN: _BACKUP,
    Trouble.ENTRY: "Start the version that wrote it, or restore the backup from before the upgrade",
    Trouble.IO: "Check the disk, its free space, the mount and the owner of state_dir, then start again",
}


class StateUnreadable(ConfigError):
    """A state file cannot be used. It was not changed.

    A ConfigError, because starting again does not help: whoever does not catch it exits with code 2. A caller that
    can go on without state (looking and paging only) catches it and decides on `trouble`.
    """

    def __init__(self, trouble: Trouble, path: Path, detail: str) -> None:
        super().__init__((f"{path}: {detail}; it was not changed. {WAY_OUT[trouble]}.",))
        self.trouble = trouble
        self.path = path
        self.detail = detail
