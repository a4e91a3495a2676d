"""How two answers to the same request differ: status, shape, types and texts; what changes from call to call is masked.

A difference is one line, `where: left | right`, so that a table can name it and say why it is there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

# What no two servers, or no two calls, can have in common. Their types are still compared.
VOLATILE = frozenset(
    "accessor active_time api_address address build_date client_token cluster_address cluster_id "
    "cluster_name commit_date creation_time created_time deletion_time encoded_root_token encoded_token "
    "encryptions install_time "
    "expiration_time expire_time hostname id index issue_time last_contact last_echo last_heartbeat last_index "
    "last_renewal last_renewal_time last_updated_time last_term "
    "last_wal leader leader_address leader_cluster_address location node_id nonce otp raft_applied_index "
    "raft_committed_index request_id role_id running_plugin_version secret_id secret_id_accessor "
    "server_time_utc stable_since token ttl updated_time upgrade_version voters version wrapped_accessor".split()
)
KEYED_BY_NAME = frozenset({"servers"})  # objects whose names are those of nodes: the first entries are compared
_UUID = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
TEXT_CHARS = 160


def differences(left: object, right: object, where: str = "", *, alike: Mapping[str, str] | None = None) -> list[str]:
    """Where two decoded bodies differ; `alike` says which texts of the left one stand for which of the right one."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        return _of_objects(left, right, where, alike or {})
    if isinstance(left, list) and isinstance(right, list):
        return _of_lists(left, right, where, alike or {})
    if type(left) is not type(right):
        return [f"{where}: {_kind(left)} | {_kind(right)}"]
    if _is_masked(where) or _said(left, alike or {}) == _said(right, {}):
        return []
    return [f"{where}: {_shown(left)} | {_shown(right)}"]


def _of_objects(
    left: Mapping[str, object], right: Mapping[str, object], where: str, alike: Mapping[str, str]
) -> list[str]:
    if where.rpartition(".")[2] in KEYED_BY_NAME:
        return _of_lists([*left.values()], [*right.values()], where, alike)
    found = [f"{where}.{name}: {_kind(left[name])} | absent" for name in left if name not in right]
    found += [f"{where}.{name}: absent | {_kind(right[name])}" for name in right if name not in left]
    for name in left:
        if name in right:
            found += differences(left[name], right[name], f"{where}.{name}", alike=alike)
    return found


def _of_lists(left: list[object], right: list[object], where: str, alike: Mapping[str, str]) -> list[str]:
    """Of texts all are compared; of objects one, which has the shape of all: the active node's, or the first."""
    if _is_masked(where):
        return []
    texts = [*left, *right]
    if all(isinstance(text, str) for text in texts):
        same = [_said(text, alike) for text in left] == [_said(text, {}) for text in right]
        return [] if same else [f"{where}: {_shown(left)} | {_shown(right)}"]
    if not left or not right:
        return [] if bool(left) is bool(right) else [f"{where}: {len(left)} entries | {len(right)} entries"]
    return differences(_example(left), _example(right), f"{where}[]", alike=alike)


def _example(entries: list[object]) -> object:
    marked = [e for e in entries if isinstance(e, Mapping) and (e.get("active_node") or e.get("status") == "leader")]
    return (marked or entries)[0]


def _is_masked(where: str) -> bool:
    return where.rpartition(".")[2].removesuffix("[]") in VOLATILE


def _said(value: object, alike: Mapping[str, str]) -> object:
    if not isinstance(value, str):
        return value
    for one, another in alike.items():
        value = value.replace(one, another)
    return _UUID.sub("UUID", value)


def _kind(value: object) -> str:
    return "null" if value is None else type(value).__name__


def _shown(value: object) -> str:
    return _UUID.sub("UUID", repr(value))[:TEXT_CHARS]
