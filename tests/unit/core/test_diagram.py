"""The tables in docs/architecture.md are those of the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from watchdogd.core.diagram import mermaid, table
from watchdogd.core.situations import NAMES, SITUATIONS

ARCHITECTURE = Path(__file__).parents[3] / "docs" / "architecture.md"
SECTIONS = {"table": table(), "diagram": f"```mermaid\n{mermaid()}```\n"}


def between_markers(section: str) -> str:
    text = ARCHITECTURE.read_text(encoding="utf-8")
    _, _, rest = text.partition(f"<!-- {section}: begin -->\n")
    inside, marker, _ = rest.partition(f"<!-- {section}: end -->")
    assert marker, f"docs/architecture.md has no {section} markers"
    return inside


@pytest.mark.parametrize("section", SECTIONS)
def test_the_architecture_shows_the_tables_as_they_are(section: str) -> None:
    # Stale? `python -m tests.unit.core.test_diagram` writes it anew.
    assert between_markers(section) == SECTIONS[section]


def test_the_diagram_shows_every_row_with_its_reason() -> None:
    shown = mermaid()
    assert [row.id for row in (*SITUATIONS, *NAMES.values()) if f"{row.id} " not in shown] == []


def write() -> None:
    """Bring docs/architecture.md up to date."""
    text = ARCHITECTURE.read_text(encoding="utf-8")
    for section, content in SECTIONS.items():
        text = text.replace(between_markers(section), "", 1) if between_markers(section) else text
        text = text.replace(f"<!-- {section}: begin -->\n", f"<!-- {section}: begin -->\n{content}", 1)
        ARCHITECTURE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
