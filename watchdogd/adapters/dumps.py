"""Nobody reads the memory of this process: no core file, and no debugger or /proc of the same user.

Source: prctl(2), PR_SET_DUMPABLE; proc(5); core(5). A program that it starts is dumpable again: that is execve's doing.
"""

from __future__ import annotations

import ctypes
import os
import resource

PR_SET_DUMPABLE = 4  # linux/prctl.h


def forbid_dumps() -> str:
    """From now on. Returns why it could not be done, or the empty string; never raises: looking must go on."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
            return os.strerror(ctypes.get_errno())
    except (OSError, AttributeError) as exc:
        return str(exc)
    return ""
