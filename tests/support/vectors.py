"""Requests and answers of Vault that were documented or observed; each carries its source."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

_FILE = Path(__file__).parents[1] / "data" / "vault" / "api-vectors.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """One request and its answer."""

    name: str
    method: str
    path: str
    status: int | None
    body: object
    source: str
    params: object = None
    token_sent: bool = False
    req_headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def raw(self) -> bytes:
        """The body as it would come over the wire."""
        return b"" if self.body is None else json.dumps(self.body).encode()


def vectors() -> tuple[Vector, ...]:
    """All of them, in the order of the file."""
    entries = json.loads(_FILE.read_text(encoding="utf-8"))
    return tuple(
        Vector(**{name: value for name, value in entry.items() if name not in ("note", "resp_headers")})
        for entry in entries
    )


def vector(name: str) -> Vector:
    """The one called `name`; KeyError where there is none."""
    return {v.name: v for v in vectors()}[name]
