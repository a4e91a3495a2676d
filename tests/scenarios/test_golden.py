"""The whole story of a few incidents, line by line: whoever changes what the daemon does sees it here first.

`WATCHDOGD_WRITE_GOLDEN=1` writes the files anew; the difference is what a reviewer reads.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import pytest

from watchdogd.rehearsal.files import scenarios_of
from watchdogd.rehearsal.play import play

GOLDEN = Path(__file__).parent / "golden"
TOLD = {
    "region-lost": "region-lost",
    "veto-between-intent-and-first-byte": "veto-between-intent-and-first-byte",
    "old-primary-back-under-its-fence": "old-primary-back-under-its-fence[promoted]",
    "probes-are-lost": "probes-are-lost[0.05]",  # full of seeded chance, and told alike by every process
}


@pytest.mark.parametrize("file", TOLD)
async def test_the_story_is_told_as_it_was(file: str) -> None:
    (scenario,) = scenarios_of(TOLD[file])
    told = (await play(scenario)).story.text()
    kept = GOLDEN / f"{file}.txt"
    if os.environ.get("WATCHDOGD_WRITE_GOLDEN"):
        kept.write_text(told, encoding="utf-8")
    known = kept.read_text(encoding="utf-8")
    changed = "".join(difflib.unified_diff(known.splitlines(True), told.splitlines(True), "golden", "now", n=1))
    assert told == known, f"WATCHDOGD_WRITE_GOLDEN=1 if this is meant:\n{changed}"
