"""The act `ask` of a scenario file: a person asks Vault's API, and keeps what a later request needs. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from watchdogd.lab.scenario import CREDENTIALS, ActLine, Ask
from watchdogd.lab.scenario_cases import BadScenario, Table, Toml
from watchdogd.lab.spec import WorldSpec

ASKS = frozenset({"target", "path", "method", "as", "body", "answers", "says", "lacks", "keep"})
MAY_LACK = frozenset({"method", "as", "body", "says", "lacks", "keep"})
METHODS = ("GET", "LIST", "POST", "PUT", "PATCH", "DELETE")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def parse_ask(place: str, given: Table) -> Ask:
    """The request that one line of the file describes. Raises: BadScenario."""
    method = given.get("method", "POST" if "body" in given else "GET")
    if method not in METHODS:
        raise BadScenario(f"{place}.method: no method {method!r}: one of {', '.join(METHODS)}")
    path = given["path"]
    if not isinstance(path, str) or not path or path.startswith(("/", "v1/")):
        raise BadScenario(f"{place}.path: what follows /v1/, as sys/health")
    status = given["answers"]
    if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 599:
        raise BadScenario(f"{place}.answers: the status of the answer, 200 to 599, not {status!r}")
    return Ask(
        target=_target(place, given["target"]),
        method=str(method),
        path=path,
        caller=_value(f"{place}.as", given["as"]) if "as" in given else "",
        body=_body(place, given["body"]) if "body" in given else "",
        status=status,
        says=tuple(_pieces(f"{place}.says", given.get("says", []))),
        lacks=tuple(_pieces(f"{place}.lacks", given.get("lacks", []))),
        keep=dict(_kept(place, given.get("keep", {}))),
    )


def check_values(acts: Sequence[ActLine]) -> None:
    """Every value that a request needs is given to the person, or kept by an act above it. Raises: BadScenario."""
    known = set(CREDENTIALS)
    for number, line in enumerate(acts, start=1):
        if line.ask is None:
            continue
        asked = [("as", line.ask.caller), *(("body", name) for name in values_in(line.ask.body))]
        for key, name in asked:
            if name and name not in known:
                kept = ", ".join(sorted(known))
                raise BadScenario(f"act {number}.{key}: no value {name!r} is kept above: there are {kept}")
        known |= line.ask.keep.keys()


def values_in(body: str) -> Iterator[str]:
    """The names of the values that a body needs."""
    yield from (text[1:] for text in _texts(json.loads(body or "null")) if text.startswith("$"))


def _texts(value: Toml) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            yield from (text for one in value for text in _texts(one))
        case dict():
            yield from (text for one in value.values() for text in _texts(one))


def _target(place: str, value: Toml) -> str:
    clusters = [cluster.name for cluster in WorldSpec().clusters]
    known = [*clusters, *(target for target in WorldSpec().targets() if not target.endswith("/lb"))]
    if value not in known:
        raise BadScenario(f"{place}.target: no node and no cluster {value!r}: one of {', '.join(known)}")
    return str(value)


def _value(place: str, value: Toml) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise BadScenario(f"{place}: the name of a value: small letters, digits and _")
    return value


def _body(place: str, value: Toml) -> str:
    if not isinstance(value, dict):
        raise BadScenario(f'{place}.body: a table, {{ id = "west-2" }}')
    try:
        return json.dumps(value)
    except TypeError as exc:
        raise BadScenario(f"{place}.body: no JSON: {exc}") from exc


def _pieces(place: str, value: Toml) -> Iterator[str]:
    for text in value if isinstance(value, list) else [value]:
        if not isinstance(text, str) or not text:
            raise BadScenario(f"{place}: a text, or a list of texts")
        yield text


def _kept(place: str, value: Toml) -> Iterator[tuple[str, str]]:
    if not isinstance(value, Mapping):
        raise BadScenario(f'{place}.keep: a table, {{ nonce = "nonce" }}: a name, and the path of a field')
    for name, path in value.items():
        if not isinstance(path, str) or not path:
            raise BadScenario(f"{place}.keep.{name}: the path of a field, wrap_info.token")
        if _value(f"{place}.keep", name) in CREDENTIALS:
            raise BadScenario(f"{place}.keep.{name}: is what a person was given already: choose another name")
        yield name, path
