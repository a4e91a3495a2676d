"""A loop that is late takes the blame for a time-out, and on a loaded machine the loop of every test is late."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from watchdogd.core import lateness


@contextmanager
def never_our_fault() -> Iterator[None]:
    """For what asks only what a node says. What a late loop reads as has tests of its own: `test_late_loop`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lateness, "LATE_SHARE", math.inf)
        yield
