"""The same requests, in order, to a real OpenBao and to a lab of the same size; how their answers differ.

What one side chose (a nonce, a token, an id) stands as `$name` in later requests and is filled in for each side.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from string import Template
from typing import Protocol

from tests.support.likeness import differences
from tests.support.openbao import OpenBao
from tests.support.real_nodes import Node
from watchdogd.lab.knobs import Knobs
from watchdogd.lab.spec import ClusterSpec, WorldSpec
from watchdogd.lab.wire import Wire
from watchdogd.lab.world import World

NAME, SETTLED_S = "referee", 7.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request. `keep` says which fields of the answer later requests name; `part` which part is compared."""

    name: str
    path: str
    method: str = "GET"
    body: object = None
    token: str = "$root"
    standby: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    keep: Mapping[str, Sequence[str]] = field(default_factory=dict)
    part: Sequence[str] = ()

    @property
    def route(self) -> str:
        return self.path.removeprefix("/v1/").partition("?")[0].strip("/")


@dataclass(frozen=True, slots=True)
class Told:
    """One answer, decoded."""

    status: int
    body: object


class Side(Protocol):
    """A server that is asked, and what it chose so far."""

    chose: dict[str, str]

    def told(self, ask: Ask, path: str, body: str | None, token: str) -> Told:
        """The answer to a filled-in request."""


@dataclass(slots=True)
class RealSide:
    """OpenBao."""

    bao: OpenBao
    chose: dict[str, str] = field(default_factory=dict)
    only: Node | None = None  # the node that is asked whatever it says of itself

    def __post_init__(self) -> None:
        self.chose |= {"root": self.bao.root_token} | _shares(self.bao.shares)

    def told(self, ask: Ask, path: str, body: str | None, token: str) -> Told:
        wanted = 429 if ask.standby else 200
        node = self.only or next(node for node in self.bao.nodes if self.bao.health(node) == wanted)
        answer = self.bao.ask(node, path, ask.method, token=token, body=body, headers=ask.headers)
        return Told(answer.status, answer.json)


@dataclass(slots=True)
class Remembered:
    """A side whose answers are asked for once, and compared as often as there is somebody to compare them with."""

    side: Side
    answers: dict[str, Told]
    chose: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.chose |= self.side.chose

    def told(self, ask: Ask, path: str, body: str | None, token: str) -> Told:
        if ask.name not in self.answers:
            self.answers[ask.name] = self.side.told(ask, path, body, token)
        return self.answers[ask.name]


@dataclass(slots=True)
class LabSide:
    """A world with one cluster."""

    world: World
    chose: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        has = self.world.credentials()
        if has:
            self.chose |= {"root": has["root_token"]} | _shares([has[f"share_{n}"] for n in range(1, 6)])

    def told(self, ask: Ask, path: str, body: str | None, token: str) -> Told:
        wire = Wire(
            place="bastion",
            target=f"{NAME}/{2 if ask.standby else 1}",
            method=ask.method,
            path_and_query=path,
            headers={**ask.headers} | ({"X-Vault-Token": token} if token else {}),
            body=(body or "").encode(),
        )
        answer = self.world.exchange(wire, now_s=self.world.now_s + 0.01)
        return Told(answer.status, json.loads(answer.body) if answer.body else None)


def lab_side(*, nodes: int, version: str, kind: str = "dr") -> LabSide:
    """A lab like the real cluster; of kind `none` before it is initialised."""
    knobs = Knobs(auto_unseal=False, performance_standbys=False)
    spec = ClusterSpec(name=NAME, nodes=nodes, vault_version=version)
    world = World(WorldSpec(clusters=(spec,), kind=kind, knobs=knobs), seed=1)
    world.tick(SETTLED_S)
    return LabSide(world)


def compared(asks: Sequence[Ask], real: Side, lab: Side) -> Mapping[str, list[str]]:
    """For every request how the two answers differ, as `where: real | lab`."""
    found: dict[str, list[str]] = {}
    for ask in asks:
        one, another = _asked(ask, real), _asked(ask, lab)
        alike = {real.chose[name]: lab.chose[name] for name in real.chose if real.chose[name]}
        if one.status != another.status:
            found[ask.name] = [f"status: {one.status} | {another.status}"]
        else:
            found[ask.name] = differences(_at(one.body, ask.part), _at(another.body, ask.part), alike=alike)
    return found


def _asked(ask: Ask, side: Side) -> Told:
    def filled(text: str) -> str:
        return Template(text).safe_substitute(side.chose)

    body = ask.body if isinstance(ask.body, str | None) else json.dumps(ask.body)
    told = side.told(ask, filled(ask.path), None if body is None else filled(body), filled(ask.token))
    for name, where in ask.keep.items():
        side.chose[name] = str(_at(told.body, where))
    return told


def _at(body: object, where: Sequence[str]) -> object:
    for name in where:
        if isinstance(body, list):
            body = body[int(name)]
        else:
            body = body.get(name) if isinstance(body, Mapping) else None
    return body


def _shares(shares: Sequence[str]) -> dict[str, str]:
    named = {f"share_{n}": share for n, share in enumerate(shares, start=1)}
    return named | {f"{name}_base64": base64.b64encode(bytes.fromhex(share)).decode() for name, share in named.items()}
