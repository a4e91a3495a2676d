"""The tables of situations as a mermaid state diagram: the phases, and the rows that lead into each."""

from __future__ import annotations

from collections.abc import Iterator

from watchdogd.core.situations import NAMES, SITUATIONS, Act, Phase, Row


def diagram() -> str:
    """The diagram that docs/architecture.md holds; always the same text for the same tables."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "stateDiagram-v2"
    yield "    %% Evaluated from the top; the first row that matches decides. The last takes the rest."
    for phase in Phase:
        yield f"    state {phase.value}"
    for row in SITUATIONS:
        yield f"    [*] --> {row.phase.value} : {row.id} {_plain(row.why)} → {_act(row)}"
    yield "    %% Beside it, for the service name."
    for name in NAMES.values():
        yield f"    [*] --> name : {name.id} {_plain(name.why)} → {name.act.value}"


def _act(row: Row) -> str:
    if row.after_window and row.act in (Act.PAGE, Act.ALERT):
        return f"{row.act.value} after a window"
    return row.act.value


def _plain(text: str) -> str:
    # A colon ends the label's name and a semicolon the statement. Source: mermaid.js.org/syntax/stateDiagram.html.
    return text.replace(":", ",").replace(";", ",")
