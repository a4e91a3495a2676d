"""What a command line says: to readers that may leave early, and without what may be a secret."""

from __future__ import annotations

import argparse
import os
import sys
from typing import NoReturn

from watchdogd.secret import without_secrets


class Parser(argparse.ArgumentParser):
    """One that does not repeat what may be a secret when it refuses a command line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end with 2."""
        super().error(without_secrets(message))


def complain(text: str) -> None:
    """Print to standard error, without what may be a secret."""
    print(without_secrets(text), file=sys.stderr)


def say(text: str) -> None:
    """Print. A reader that has seen enough (`| head`) is no error: the exit code still says how it went."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
