"""The mount tables of a cluster: secrets engines under `sys/mounts/`, logins under `sys/auth/`. Source: OBS.

They are entries of the store, so they replicate. What every Vault mounts by itself is there without an entry.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from watchdogd.lab.store import Store, Value

MOUNTS, AUTHS = "sys/mounts/", "sys/auth/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One mount. `path` ends in a slash; times to live in seconds, 0 for the cluster's own."""

    path: str
    type: str
    accessor: str
    uuid: str
    description: str = ""
    options: Mapping[str, str] | None = None
    local: bool = False
    seal_wrap: bool = False
    default_ttl_s: int = 0
    max_ttl_s: int = 0
    force_no_cache: bool = False
    passed_headers: tuple[str, ...] = ()
    is_built_in: bool = False

    @property
    def version(self) -> str:
        """Of a key-value engine: `1` or `2`."""
        return (self.options or {}).get("version", "1")

    def fields(self) -> Value:
        """What is stored of it."""
        return {
            "type": self.type,
            "accessor": self.accessor,
            "uuid": self.uuid,
            "description": self.description,
            "options": None if self.options is None else dict(self.options),
            "local": self.local,
            "seal_wrap": self.seal_wrap,
            "default_ttl_s": self.default_ttl_s,
            "max_ttl_s": self.max_ttl_s,
            "force_no_cache": self.force_no_cache,
        }


@dataclass(frozen=True, slots=True)
class Table:
    """One of the two tables: where its entries are, and what is mounted without one."""

    prefix: str
    built_in: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    is_auth: bool = False

    def get(self, store: Store, path: str) -> Mount | None:
        """The mount at exactly this path, which ends in a slash."""
        entry = store.get(self.prefix + path)
        if entry is not None:
            return None if entry.value.get("type") == "" else self._mount(path, entry.value)
        fixed = self.built_in.get(path)
        return None if fixed is None else self._mount(path, fixed)

    def all(self, store: Store) -> list[Mount]:
        """Every mount, by path."""
        paths = {*self.built_in, *(key.removeprefix(self.prefix) for key in store.keys(self.prefix))}
        return [mount for path in sorted(paths) if (mount := self.get(store, path)) is not None]

    def over(self, store: Store, path: str) -> Mount | None:
        """The mount that a request's path is routed to."""
        parts = f"{path}/".split("/")[:-1]
        for count in range(len(parts), 0, -1):
            found = self.get(store, "/".join(parts[:count]) + "/")
            if found is not None:
                return found
        return None

    def _mount(self, path: str, value: Mapping[str, object]) -> Mount:
        type_ = str(value.get("type", "kv"))
        options = value.get("options")
        if "version" in value:  # as a world's first mounts are stored
            options = {"version": str(value["version"])}
        return Mount(
            path=path,
            type=type_,
            accessor=str(value.get("accessor") or self._accessor(type_, path)),
            uuid=str(value.get("uuid") or _uuid(self.prefix + path)),
            description=str(value.get("description", "")),
            options={str(k): str(v) for k, v in options.items()} if isinstance(options, Mapping) else None,
            local=bool(value.get("local")),
            seal_wrap=bool(value.get("seal_wrap")),
            default_ttl_s=int(str(value.get("default_ttl_s", 0))),
            max_ttl_s=int(str(value.get("max_ttl_s", 0))),
            force_no_cache=bool(value.get("force_no_cache")),
            passed_headers=tuple(map(str, passed)) if isinstance(passed := value.get("passed"), list) else (),
            is_built_in=path in self.built_in and bool(value.get("fixed")),
        )

    def _accessor(self, type_: str, path: str) -> str:
        return self.accessor(type_, hashlib.sha256(path.encode()).hexdigest())

    def accessor(self, type_: str, hex_digits: str) -> str:
        """An accessor as Vault makes them: the type and eight hex digits."""
        return f"{'auth_' if self.is_auth else ''}{type_}_{hex_digits[:8]}"


def _uuid(text: str) -> str:
    raw = hashlib.sha256(text.encode()).hexdigest()
    return f"{raw[:8]}-{raw[8:12]}-{raw[12:16]}-{raw[16:20]}-{raw[20:32]}"


SECRETS = Table(
    MOUNTS,
    {
        "cubbyhole/": {
            "type": "cubbyhole",
            "description": "per-token private secret storage",
            "local": True,
            "fixed": True,
        },
        "identity/": {
            "type": "identity",
            "description": "identity store",
            "passed": ["Authorization"],
            "fixed": True,
        },
        "sys/": {
            "type": "system",
            "description": "system endpoints used for control, policy and debugging",
            "seal_wrap": True,
            "passed": ["Accept"],
            "fixed": True,
        },
    },
)
LOGINS = Table(
    AUTHS,
    {"token/": {"type": "token", "description": "token based credentials", "fixed": True}},
    is_auth=True,
)
