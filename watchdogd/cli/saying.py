"""Standard output, for readers that may leave early."""

from __future__ import annotations

import os
import sys


def say(text: str) -> None:
    """Print. A reader that has seen enough (`| head`) is no error: the exit code still says how it went."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
