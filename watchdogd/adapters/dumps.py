"""Nobody reads the memory of this process: no core file, and no debugger or /proc of the same user.

Source: prctl(2), PR_SET_DUMPABLE; proc(5); core(5). A program that it starts is dumpable again: that is execve's doing.
"""

from __future__ import annotations

import os

PR_SET_DUMPABLE = 4  # linux/prctl.h


def forbid_dumps() -> str:
    """From now on. Returns why it could not be done, or the empty string; never raises: looking must go on."""
    try:
        import ctypes  # where no memory may be executable, an old libffi cannot even be loaded

        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
            return os.strerror(ctypes.get_errno())
    except (ImportError, MemoryError, OSError, AttributeError) as exc:
        return f"{type(exc).__name__}: {exc}"
    return ""
