"""A secret of KV version 2: numbered versions, what is kept about them, and when they are gone.

Sources: OBS obs3, and a real OpenBao asked for each rule here; section 8 of the reference. One secret is one entry of
the store, so that a write of a client is one entry of the log.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from watchdogd.lab.store import Value

KEPT_VERSIONS = 10  # where neither the mount nor the secret says otherwise


@dataclass(slots=True, kw_only=True)
class Version:
    """One version. `deleted_utc_s` may lie ahead: then it is deleted by itself."""

    data: object
    created_utc_s: float
    deleted_utc_s: float | None = None
    destroyed: bool = False

    def is_gone(self, utc_s: float) -> bool:
        """Whether its data is not shown any more."""
        return self.destroyed or (self.deleted_utc_s is not None and self.deleted_utc_s <= utc_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """What a mount says for all its secrets; 0 is `not set`."""

    max_versions: int = 0
    cas_required: bool = False
    delete_after_s: float = 0.0

    @classmethod
    def of(cls, value: Value) -> Config:
        return cls(
            max_versions=_int(value["max_versions"]),
            cas_required=bool(value["cas_required"]),
            delete_after_s=_float(value["delete_after_s"]),
        )

    def fields(self) -> Value:
        """What is stored of it."""
        return {
            "max_versions": self.max_versions,
            "cas_required": self.cas_required,
            "delete_after_s": self.delete_after_s,
        }


@dataclass(slots=True, kw_only=True)
class Secret:
    """All versions of one secret."""

    created_utc_s: float
    updated_utc_s: float
    current: int = 0
    oldest: int = 0
    max_versions: int = 0
    cas_required: bool = False
    delete_after_s: float = 0.0
    custom: Mapping[str, str] | None = None
    versions: dict[int, Version] = field(default_factory=dict)

    @classmethod
    def of(cls, value: Value) -> Secret:
        """As it was stored."""
        versions, custom = value["versions"], value["custom"]
        if not isinstance(versions, Mapping):
            raise TypeError(f"stored secret without versions: {value!r}")
        return cls(
            created_utc_s=_float(value["created"]),
            updated_utc_s=_float(value["updated"]),
            current=_int(value["current"]),
            oldest=_int(value["oldest"]),
            max_versions=_int(value["max_versions"]),
            cas_required=bool(value["cas_required"]),
            delete_after_s=_float(value["delete_after_s"]),
            custom=custom if isinstance(custom, Mapping) else None,
            versions={
                int(number): Version(data=data, created_utc_s=created, deleted_utc_s=deleted, destroyed=destroyed)
                for number, (data, created, deleted, destroyed) in versions.items()
            },
        )

    def fields(self) -> Value:
        """What is stored of it."""
        return {
            "created": self.created_utc_s,
            "updated": self.updated_utc_s,
            "current": self.current,
            "oldest": self.oldest,
            "max_versions": self.max_versions,
            "cas_required": self.cas_required,
            "delete_after_s": self.delete_after_s,
            "custom": self.custom,
            "versions": {n: (v.data, v.created_utc_s, v.deleted_utc_s, v.destroyed) for n, v in self.versions.items()},
        }

    def add(self, data: object, config: Config, utc_s: float) -> Version:
        """A new version; what is more than the mount and the secret keep goes."""
        self.current += 1
        made = self.versions[self.current] = Version(
            data=data, created_utc_s=utc_s, deleted_utc_s=self.deleted_by_itself(config, utc_s)
        )
        self.updated_utc_s = utc_s
        most = max(self.max_versions, config.max_versions) or KEPT_VERSIONS  # the larger of the two, as asked
        if self.current - self.oldest >= most:
            self.oldest = self.current - most + 1
            self.versions = {n: v for n, v in self.versions.items() if n >= self.oldest}
        return made

    def deleted_by_itself(self, config: Config, utc_s: float) -> float | None:
        """When a version that begins to live now is deleted: the shorter of what the mount and the secret say."""
        spans = [s for s in (self.delete_after_s, config.delete_after_s) if s]
        return utc_s + min(spans) if spans and min(spans) > 0 else None

    def shown(self, number: int) -> Version | None:
        """A version by number, the current one for 0 and less."""
        return self.versions.get(number if number > 0 else self.current)


def merged(into: object, patch: object) -> object:
    """A JSON merge patch (RFC 7386)."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(into) if isinstance(into, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merged(result.get(name), value)
    return result


def names_only(data: Mapping[str, object], depth: int) -> dict[str, object]:
    """The names in a secret with null for every value, down to a depth; 0 for all of it."""
    return {
        name: names_only(value, max(0, depth - 1)) if depth != 1 and isinstance(value, Mapping) and value else None
        for name, value in data.items()
    }


def _int(value: object) -> int:
    if not isinstance(value, int):
        raise TypeError(f"stored {value!r} where a whole number belongs")
    return value


def _float(value: object) -> float:
    if not isinstance(value, int | float):
        raise TypeError(f"stored {value!r} where a number belongs")
    return float(value)
