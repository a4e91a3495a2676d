"""The tables for people, as mermaid and as markdown; docs/architecture.md holds both."""

from __future__ import annotations

from collections.abc import Iterator

from watchdogd.core.situations import NAMES, SITUATIONS, Act, NameRow, Row


def mermaid() -> str:
    """Both tables as one flowchart, top to bottom: the first premise that holds decides."""
    return "\n".join(["flowchart TD", *_situations(), *_names(), *_acts()]) + "\n"


def table() -> str:
    """Both tables in markdown, one line per row, in the order in which they are asked."""
    rows = [f"| {row.id} | {row.why} | {_premise(row)} | {row.act} | {_phase(row)} |" for row in SITUATIONS]
    names = [f"| {row.id} | {row.why} | {row.act} |" for row in NAMES.values()]
    head = ["| id | why | asked | act | phase |", "|---|---|---|---|---|"]
    return "\n".join([*head, *rows, "", "| id | why | act |", "|---|---|---|", *names]) + "\n"


def rows_of(situation: str) -> tuple[Row, ...]:
    """The rows that share an id, in the order of the table."""
    return tuple(row for row in SITUATIONS if row.id == situation)


def _situations() -> Iterator[str]:
    ids = list(dict.fromkeys(row.id for row in SITUATIONS))
    yield '  seen(["what is seen of a pair"]) --> ' + _node(ids[0])
    for situation, following in zip(ids, [*ids[1:], None], strict=True):
        rows = rows_of(situation)
        premises = "<br/>or ".join(dict.fromkeys(_premise(row) for row in rows))
        yield f'  {_node(situation)}{{{{"{situation} {rows[0].why}<br/><i>{premises}</i>"}}}}'
        for act in dict.fromkeys(row.act for row in rows):
            yield f"  {_node(situation)} -->|yes| {_act(act)}"
        if following is not None:
            yield f"  {_node(situation)} -->|no| {_node(following)}"


def _names() -> Iterator[str]:
    yield '  name(["what the name servers publish"])'
    for row in NAMES.values():
        yield f"  name --> {_node(row.id)}"
        yield from _name(row)


def _name(row: NameRow) -> Iterator[str]:
    yield f'  {_node(row.id)}["{row.id} {row.why}"]'
    yield f"  {_node(row.id)} --> {_act(row.act)}"


def _acts() -> Iterator[str]:
    yield from (f'  {_act(act)}(["{act}"])' for act in Act)


def _phase(row: Row) -> str:
    return str(row.phase) if row.phase_idle is None else f"{row.phase}; {row.phase_idle} while nothing goes"


def _premise(row: Row) -> str:
    if not row.when:
        return "anything else"
    return ", ".join(f"{_field(name)}: {_values(values)}" for name, values in row.when.items())


def _field(name: str) -> str:
    return name.removeprefix("is_").removeprefix("are_").replace("_", " ")


def _values(values: frozenset[object]) -> str:
    words = {True: "yes", False: "no", None: "nobody"}
    return " / ".join(sorted(words[value] if isinstance(value, bool | None) else str(value) for value in values))


def _node(situation: str) -> str:
    return situation.replace("-", "")


def _act(act: Act) -> str:
    return f"act_{act.value.replace('-', '_')}"
