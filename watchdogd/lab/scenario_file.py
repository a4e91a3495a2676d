"""From the text of a scenario file to scenarios. Every mistake names its line of the file's story and the way out."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from watchdogd.lab.fault_text import BadFault, duration_s, no_fault, parse_fault
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.scenario import ActLine, Budget, Do, Expected, FaultLine, Scalars, Scenario, Standing, Tag, When
from watchdogd.lab.scenario_asks import ASKS, MAY_LACK, check_values, parse_ask
from watchdogd.lab.scenario_cases import BadScenario, Table, Toml, variants
from watchdogd.lab.spec import WorldSpec

TABLES = frozenset({"title", "stands_for", "until", "seed", "asks", "tags", "world", "pair", "fence", "budget"})
LINES = frozenset({"fault", "act", "expect", "cases", "defaults", "matrix"})
WHEN = frozenset({"at", "when", "nth", "plus"})
# What an expectation may ask for, and how the story begins its lines about it.
SEEN = tuple("situation name_row decision run step applied sent published page warn journal act".split())
STATE: Mapping[str, type] = {
    "elected": str, "epoch": int, "debt": str, "fences": list, "fenced": list, "published": str, "primaries": list,
    "promotes": int, "demotes": int, "steady": bool, "parked": str, "paused": bool, "foreign": bool, "run": str,
    "gates": list, "operation_tokens": list,
}  # fmt: skip
TAKES: Mapping[Do, frozenset[str]] = {
    Do.PAUSE: frozenset({"for"}),
    Do.ADOPT: frozenset({"cluster"}),
    Do.FORGIVE: frozenset({"cluster"}),
    Do.FAILOVER: frozenset({"cluster", "waive"}),
    Do.START: frozenset({"runbook", "cluster"}),
    Do.RUN_PROCEED: frozenset({"waive"}),
    Do.RUN_ADOPT: frozenset({"cluster"}),
    Do.KILL: frozenset({"for"}),
    Do.TERM: frozenset({"for"}),
    Do.SUSPEND: frozenset({"for"}),
    Do.STALL: frozenset({"for"}),
    Do.STEP_CLOCK: frozenset({"seconds"}),
    Do.SLOW_JOURNAL: frozenset({"entry", "for", "times"}),
    Do.FAIL_JOURNAL: frozenset({"for"}),
    Do.CUT_ANCHORS: frozenset({"for"}),
    Do.WITNESS_SEES: frozenset({"for"}),
    Do.CLEAR: frozenset({"kind", "target"}),
    Do.PROMOTE: frozenset({"cluster"}),
    Do.DEMOTE: frozenset({"cluster"}),
    Do.POINT_NAME: frozenset({"target"}),
    Do.ASK: ASKS,
    Do.SPOIL_TOKEN: frozenset({"token"}),
    Do.MEND_TOKEN: frozenset({"token"}),
}
OPTIONAL: Mapping[Do, frozenset[str]] = {
    Do.PAUSE: frozenset({"for"}),
    Do.FAILOVER: frozenset({"waive"}),
    Do.KILL: frozenset({"for"}),
    Do.TERM: frozenset({"for"}),
    Do.SLOW_JOURNAL: frozenset({"times"}),
    Do.CUT_ANCHORS: frozenset({"for"}),
    Do.WITNESS_SEES: frozenset({"for"}),
    Do.CLEAR: frozenset({"kind", "target"}),
    Do.ASK: MAY_LACK,
}


def load_scenarios(path: Path) -> tuple[Scenario, ...]:
    """Every variant in the file. Raises: BadScenario, OSError."""
    try:
        return parse_scenarios(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as exc:
        raise BadScenario(f"{path}: no text file") from exc
    except BadScenario as exc:
        raise BadScenario(f"{path}: {exc}") from exc


def parse_scenarios(text: str) -> tuple[Scenario, ...]:
    """Every variant in the text of a file. Raises: BadScenario."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise BadScenario(f"not TOML: {exc}") from exc
    _only_known("", table, TABLES | LINES)
    return tuple(_scenario(case, variant) for case, variant in variants(table))


def _scenario(case: str, table: Table) -> Scenario:
    expects = list(_lines(table, "expect"))
    until_s = _seconds("until", table.get("until"))
    scenario = Scenario(
        title=_text("title", table.get("title")),
        case=case,
        stands_for=" ".join(_text("stands_for", table.get("stands_for")).split()),
        until_s=until_s,
        seed=_whole("seed", table.get("seed", 1)),
        asks=frozenset(_asks(table.get("asks", []))),
        tags=frozenset(_tag(tag) for tag in _list("tags", table.get("tags", []))),
        world=_scalars("world", table.get("world", {})),
        pair=_scalars("pair", table.get("pair", {})),
        fence=_scalars("fence", table.get("fence", {})),
        faults=tuple(_fault(place, line) for place, line in _lines(table, "fault")),
        acts=tuple(_act(place, line) for place, line in _lines(table, "act")),
        expected=tuple(_expected(place, line) for place, line in expects if not _is_standing(line)),
        standing=tuple(_standing(place, line) for place, line in expects if _is_standing(line)),
        budget=_budget(table.get("budget", {})),
    )
    _check(scenario)
    return scenario


def _check(scenario: Scenario) -> None:
    if not scenario.expected and not scenario.standing:
        raise BadScenario("expect: a scenario that expects nothing cannot fail: add [[expect]]")
    if scenario.budget.two_writable_primaries_s > 0 and not scenario.tags:
        known = " or ".join(Tag)
        raise BadScenario(f"budget.two_writable_primaries_s: only where tags names {known}")
    for when in scenario.moments:
        if when.at_s is not None and when.at_s >= scenario.until_s:
            raise BadScenario(f"{when.at_s:g} s is not before until, {scenario.until_s:g} s: it would never be")
    check_values(scenario.acts)
    for wanted in scenario.expected:
        if wanted.before_s is not None and wanted.before_s > scenario.until_s and not wanted.since:
            raise BadScenario(f"expect {wanted.seen!r} before {wanted.before_s:g} s: the scenario ends earlier")


# -- lines -------------------------------------------------------------------------------------------------------------


def _fault(place: str, line: Table) -> FaultLine:
    known = WHEN | {"kind", "target", "from", "for"}
    params = {key: value for key, value in line.items() if key not in known}
    for_s = _seconds(f"{place}.for", line["for"]) if "for" in line else None
    try:
        fault = parse_fault(
            _text(f"{place}.kind", line.get("kind")),
            _text(f"{place}.target", line.get("target")),
            spec=WorldSpec(),
            now_s=0.0,
            place=_text(f"{place}.from", line["from"]) if "from" in line else None,
            words=[f"{key}={value}" for key, value in params.items()],
        )
    except BadFault as exc:
        raise BadScenario(f"{place}: {exc}") from exc
    return FaultLine(when=_when(place, line), fault=fault, for_s=for_s)


def _act(place: str, line: Table) -> ActLine:
    word = _text(f"{place}.do", line.get("do"))
    if word not in tuple(Do):
        raise BadScenario(f"{place}.do: no act {word!r}: one of {', '.join(Do)}")
    do = Do(word)
    takes, may_lack = TAKES.get(do, frozenset()), OPTIONAL.get(do, frozenset())
    given = {key: value for key, value in line.items() if key not in WHEN | {"do", "refused"}}
    _only_known(place, line, takes | WHEN | {"do", "refused"})
    if missing := sorted(takes - may_lack - given.keys()):
        raise BadScenario(f"{place}: {do} needs {', '.join(missing)}")
    if "for" in given:
        given["for"] = _seconds(f"{place}.for", given["for"])
    if do is Do.CLEAR and "kind" in given and given["kind"] not in tuple(FaultKind):
        raise BadScenario(f"{place}.kind: {no_fault(str(given['kind']))}")
    if do is Do.ASK:
        ask = parse_ask(place, given)
        told = {"method": ask.method, "target": ask.target, "path": ask.path}
        return ActLine(when=_when(place, line), do=do, given=told, ask=ask)
    return ActLine(
        when=_when(place, line), do=do, given=_scalars(place, given), refused=_maybe(place, "refused", line),
    )  # fmt: skip


def _when(place: str, line: Table) -> When:
    if ("at" in line) == ("when" in line):
        raise BadScenario(f'{place}: give at = "60s", or when = "the words that a line of the story begins with"')
    if "at" in line:
        if "nth" in line or "plus" in line:
            raise BadScenario(f"{place}: nth and plus belong to when")
        return When(at_s=_seconds(f"{place}.at", line["at"]))
    return When(
        seen=_text(f"{place}.when", line["when"]),
        nth=_whole(f"{place}.nth", line.get("nth", 1)),
        plus_s=_seconds(f"{place}.plus", line.get("plus", "0s")),
    )


def _is_standing(line: Table) -> bool:
    return "at" in line


def _expected(place: str, line: Table) -> Expected:
    asked = [key for key in SEEN if key in line]
    if len(asked) != 1:
        raise BadScenario(f'{place}: one of {", ".join(SEEN)}; or at = "end" with what must stand then')
    _only_known(place, line, frozenset({*asked, "after", "before", "between", "since", "never", "times", "gates"}))
    if "between" in line and ("after" in line or "before" in line):
        raise BadScenario(f"{place}: between is after and before in one")
    after, before = _span(place, line)
    return Expected(
        seen=asked[0] if line[asked[0]] == "" else f"{asked[0]} {_text(f'{place}.{asked[0]}', line[asked[0]])}",
        after_s=after,
        before_s=before,
        since=_maybe(place, "since", line),
        times=_whole(f"{place}.times", line["times"]) if "times" in line else None,
        never=_flag(f"{place}.never", line.get("never", False)),
        gates=tuple(_list(f"{place}.gates", line.get("gates", []))),
    )


def _span(place: str, line: Table) -> tuple[float, float | None]:
    if "between" in line:
        ends = _list(f"{place}.between", line["between"])
        if len(ends) != 2:
            raise BadScenario(f'{place}.between: two times, ["60s", "75s"]')
        return _seconds(f"{place}.between", ends[0]), _seconds(f"{place}.between", ends[1])
    after = _seconds(f"{place}.after", line.get("after", "0s"))
    return after, _seconds(f"{place}.before", line["before"]) if "before" in line else None


def _standing(place: str, line: Table) -> Standing:
    state = {key: value for key, value in line.items() if key != "at"}
    _only_known(place, state, frozenset(STATE))
    if not state:
        raise BadScenario(f"{place}: say what must stand then: {', '.join(STATE)}")
    for key, value in state.items():
        if not isinstance(value, STATE[key]) or (STATE[key] is int and isinstance(value, bool)):
            raise BadScenario(f"{place}.{key}: {STATE[key].__name__} wanted, not {value!r}")
    at_s = None if line["at"] == "end" else _seconds(f"{place}.at", line["at"])
    return Standing(at_s=at_s, state=_scalars(place, state))


def _budget(given: Toml) -> Budget:
    table = _scalars("budget", given)
    _only_known("budget", dict(table), frozenset(Budget.__dataclass_fields__))
    numbers = {key: _number(f"budget.{key}", value) for key, value in table.items()}
    return Budget(**numbers)


# -- values ------------------------------------------------------------------------------------------------------------


def _lines(table: Table, key: str) -> Iterator[tuple[str, Table]]:
    found = table.get(key, [])
    if not isinstance(found, list):
        raise BadScenario(f"{key}: [[{key}]] with two brackets")
    for number, line in enumerate(found, start=1):
        if not isinstance(line, dict):
            raise BadScenario(f"{key} {number}: a table")
        yield f"{key} {number}", line


def _only_known(place: str, table: Mapping[str, Toml], known: frozenset[str]) -> None:
    if unknown := sorted(table.keys() - known):
        of = f"{place}: " if place else ""
        raise BadScenario(f"{of}unknown {', '.join(unknown)}: known here are {', '.join(sorted(known)) or 'none'}")


def _scalars(place: str, given: Toml) -> Scalars:
    if not isinstance(given, dict):
        raise BadScenario(f"{place}: a table")
    found: dict[str, str | float | bool | tuple[str, ...]] = {}
    for key, value in given.items():
        if isinstance(value, list):
            found[key] = tuple(_list(f"{place}.{key}", value))
        elif isinstance(value, str | int | float | bool):
            found[key] = value
        else:
            raise BadScenario(f"{place}.{key}: a text, a number, true, false, or a list of texts")
    return found


def _text(place: str, value: Toml) -> str:
    if not isinstance(value, str) or not value:
        raise BadScenario(f"{place}: a text is needed")
    return value


def _maybe(place: str, key: str, line: Table) -> str:
    return _text(f"{place}.{key}", line[key]) if key in line else ""


def _flag(place: str, value: Toml) -> bool:
    if not isinstance(value, bool):
        raise BadScenario(f"{place}: true or false, not {value!r}")
    return value


def _list(place: str, value: Toml) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise BadScenario(f"{place}: a list of texts")
    return [str(one) for one in value]


def _asks(value: Toml) -> Iterator[str]:
    """Each endpoint, or `{ endpoint = …, only = … }` where not every variant asks it."""
    for line in value if isinstance(value, list) else [value]:
        yield _text("asks", line.get("endpoint") if isinstance(line, dict) else line)


def _whole(place: str, value: Toml) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadScenario(f"{place}: a whole number, not {value!r}")
    return value


def _number(place: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise BadScenario(f"{place}: a number from 0 up, not {value!r}")
    return float(value)


def _seconds(place: str, value: Toml) -> float:
    try:
        return duration_s(_text(place, value))
    except BadFault as exc:
        raise BadScenario(f"{place}: {exc}") from exc


def _tag(word: str) -> Tag:
    if word not in tuple(Tag):
        raise BadScenario(f"tags: no tag {word!r}: one of {', '.join(Tag)}")
    return Tag(word)
