"""The diagram shows every row of the tables."""

from __future__ import annotations

from watchdogd.core.diagram import diagram
from watchdogd.core.situations import NAMES, SITUATIONS, Phase


def test_every_row_of_both_tables_is_one_edge() -> None:
    edges = [line.strip() for line in diagram().splitlines() if "-->" in line]
    assert len(edges) == len(SITUATIONS) + len(NAMES)
    for row, edge in zip(SITUATIONS, edges, strict=False):
        assert edge.startswith(f"[*] --> {row.phase.value} : {row.id} ")
    assert [edge.split(" : ")[1].split()[0] for edge in edges[len(SITUATIONS) :]] == list(NAMES)


def test_a_label_holds_nothing_that_ends_it() -> None:
    labels = [line.split(" : ", 1)[1] for line in diagram().splitlines() if "-->" in line]
    assert not any(":" in label or ";" in label for label in labels)


def test_every_phase_is_drawn() -> None:
    assert all(f"    state {phase.value}\n" in diagram() for phase in Phase)
