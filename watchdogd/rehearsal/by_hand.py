"""A person asks Vault's API: what is sent, and whether the answer is what the scenario says. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from watchdogd.lab.scenario import Ask
from watchdogd.lab.story import Line, Story

PROMOTE = "sys/replication/dr/secondary/promote"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """The request as it leaves."""

    path_and_query: str
    headers: Mapping[str, str]
    body: bytes


def reply_line(ask: Ask, status: int | str) -> tuple[str, str]:
    """What the story says of an answer: status, request; and which cluster was asked."""
    return f"reply {status} {ask.method} {ask.path}", f"cluster={ask.target.partition('/')[0]}"


def promotes(story: Story) -> tuple[Line, ...]:
    """The lines of promotes by hand that were taken; each names its cluster."""
    taken = (*story.of(f"reply 200 POST {PROMOTE}"), *story.of(f"reply 200 PUT {PROMOTE}"))
    return (*story.of("act promote"), *taken)


def sent(ask: Ask, values: Mapping[str, str]) -> Sent:
    """With every value in its place. Raises: KeyError for one that nobody kept."""
    headers = {"X-Vault-Token": values[ask.caller]} if ask.caller else {}
    body = json.dumps(_filled(json.loads(ask.body), values)).encode() if ask.body else b""
    return Sent(path_and_query=f"/v1/{ask.path}", headers=headers, body=body)


def take(ask: Ask, status: int, body: bytes, kept: dict[str, str]) -> tuple[str, ...]:
    """Keep of the answer what is to be kept; what is wrong with it, in sentences."""
    if wrong := unlike(ask, status, body):
        return (wrong,)
    found = {name: _field(path, body) for name, path in ask.keep.items()}
    kept.update({name: value for name, value in found.items() if value})
    lacks = [path for name, path in ask.keep.items() if not found[name]]
    return tuple(f"{_name(ask)} was answered without a text {path}: {_as_text(body)}" for path in lacks)


def unlike(ask: Ask, status: int, body: bytes) -> str:
    """How the answer is not what it must be, in words; empty where it is."""
    text = _as_text(body)
    wrong = [f"{ask.status} wanted"] if status != ask.status else []
    wrong += [f"{piece!r} wanted" for piece in ask.says if piece not in text]
    wrong += [f"no {piece!r} wanted" for piece in ask.lacks if piece in text]
    return f"{_name(ask)} was answered {status} {text}: {', '.join(wrong)}" if wrong else ""


def _name(ask: Ask) -> str:
    return f"{ask.method} {ask.path} at {ask.target}"


def _field(path: str, body: bytes) -> str:
    value: object = json.loads(body or b"null")
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


def _as_text(body: bytes) -> str:
    try:
        return json.dumps(json.loads(body))
    except ValueError:
        return body.decode(errors="replace")


def _filled(value: object, values: Mapping[str, str]) -> object:
    match value:
        case str() if value.startswith("$"):
            return values[value[1:]]
        case list():
            return [_filled(one, values) for one in value]
        case dict():
            return {key: _filled(one, values) for key, one in value.items()}
        case _:
            return value
