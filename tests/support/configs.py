"""A config that is good, as a table to break one thing of at a time, and the writer that makes TOML of it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from typing import Any

Table = dict[str, Any]

GOOD: Table = {
    "state_dir": "/var/lib/watchdogd",
    "self_check": {"anchors": [{"address": "sts.example.net:443", "place": "neutral"}]},
    "pair": {
        "prod": {
            "replication": "dr",
            "home": "east",
            "replication_id": "eef2a5ab-51e2-1c05-407c-8b4dc8d09ebf",
            "levels": {"failover": "auto"},
            "cluster": {
                "east": {
                    "address": "https://vault-east.example.com:8200",
                    "nodes": ["https://10.1.0.11:8200", "https://10.1.0.12:8200", "https://10.1.0.13:8200"],
                    "vault_id": "d2fbb13b-0830-70a3-4751-57b6b6d95d01",
                    "tls": {"ca_file": "/etc/watchdogd/ca.pem", "server_name": "vault-east.example.com"},
                    "fence": {"command": ["/usr/lib/fence", "east"], "timeout": "10s", "on_failure": "block"},
                },
                "west": {
                    "address": "https://vault-west.example.com:8200",
                    "nodes": ["https://10.2.0.11:8200", "https://10.2.0.12:8200", "https://10.2.0.13:8200"],
                    "vault_id": "0b1f5c5e-0c3b-4d0f-9a2e-7d6d1c9f8a11",
                    "tls": {"ca_file": "/etc/watchdogd/ca.pem"},
                    "fence": {"waived": "SEC-123"},
                },
            },
            "credentials": {"dr_operation_token": [{"file": "/etc/watchdogd/a"}, {"file": "/etc/watchdogd/b"}]},
            "timing": {},
            "policy": {},
            "dns": {
                "provider": "route53",
                "zone_id": "Z0123456789ABCDEFGHIJ",
                "record": "vault.example.com",
                "targets": {"east": "vault-east.example.com", "west": "vault-west.example.com"},
            },
        }
    },
}

Change = Callable[[Table], object]


def good(*changes: Change) -> bytes:
    """The good config, with `changes` applied to it, as TOML."""
    table = copy.deepcopy(GOOD)
    for change in changes:
        change(table)
    return toml(table).encode()


def put(path: str, value: object) -> Change:
    """Set the key at `path`, its parts separated by "/"; the pair is meant where the path begins with "./"."""

    def change(table: Table) -> None:
        *parents, key = _parts(path)
        at: Any = table
        for part in parents:
            at = at[int(part)] if isinstance(at, list) else at.setdefault(part, {})
        at[int(key) if isinstance(at, list) else key] = copy.deepcopy(value)

    return change


def drop(path: str) -> Change:
    """Remove the key at `path`."""

    def change(table: Table) -> None:
        *parents, key = _parts(path)
        at: Any = table
        for part in parents:
            at = at[part]
        del at[key]

    return change


def toml(table: Mapping[str, object]) -> str:
    """`table` as TOML, every value inline; what JSON writes as text and number is TOML too."""
    return "".join(f"{json.dumps(key)} = {_value(value)}\n" for key, value in table.items())


def _value(value: object) -> str:
    match value:
        case Mapping():
            return "{ " + ", ".join(f"{json.dumps(str(key))} = {_value(one)}" for key, one in value.items()) + " }"
        case list() | tuple():
            return "[" + ", ".join(_value(one) for one in value) + "]"
        case _:
            return json.dumps(value)


def _parts(path: str) -> list[str]:
    return f"pair/prod/{path[2:]}".split("/") if path.startswith("./") else path.split("/")
