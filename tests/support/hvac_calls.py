"""Run by a Python that has hvac: calls it as any program would, and prints what each call came to.

Arguments: URL of a node, file of the authority; the root token and the first AppRole come on standard input as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import hvac  # type: ignore[import-untyped, import-not-found, unused-ignore]  # in an environment of its own

POLICY = 'path "secret/*" {\n  capabilities = ["read", "list"]\n}\n'


def calls(client: Any, has: dict[str, str]) -> dict[str, Callable[[], object]]:
    """By name, in the order in which they are made."""
    token, sys_, kv2, kv1 = client.auth.token, client.sys, client.secrets.kv.v2, client.secrets.kv.v1
    made: dict[str, str] = {}

    def create(**asked: object) -> str:
        auth = token.create(**asked)["auth"]
        made.update(token=auth["client_token"], accessor=auth["accessor"])
        return made["token"]

    def with_own_token(act: str) -> object:
        own = hvac.Client(url=client.url, token=create(policies=["default"], ttl="1h"), verify=client.session.verify)
        return getattr(own.auth.token, act)()

    return {
        "health": lambda: sys_.read_health_status(method="GET")["initialized"],
        "health HEAD": lambda: sys_.read_health_status().status_code,
        "leader": lambda: sys_.read_leader_status()["ha_enabled"],
        "seal status": lambda: sys_.is_sealed(),
        "initialized": lambda: sys_.is_initialized(),
        "authenticated": lambda: client.is_authenticated(),
        "mounts": lambda: sys_.list_mounted_secrets_engines()["data"]["secret/"]["type"],
        "policies": lambda: "default" in sys_.list_policies()["data"]["policies"],
        "acl policies": lambda: "default" in sys_.list_acl_policies()["data"]["keys"],
        "policy write": lambda: sys_.create_or_update_policy("p", POLICY).status_code,
        "policy read": lambda: sys_.read_policy("p")["data"]["rules"] == POLICY,
        "acl policy read": lambda: sys_.read_acl_policy("p")["data"]["policy"] == POLICY,
        "policy delete": lambda: sys_.delete_policy("p").status_code,
        "capabilities": lambda: sys_.get_capabilities(["sys/mounts"])["data"]["sys/mounts"],
        "token create": lambda: bool(create(policies=["default"], ttl="1h30m", renewable=True)),
        "token lookup": lambda: token.lookup(made["token"])["data"]["creation_ttl"],
        "token lookup by accessor": lambda: token.lookup_accessor(made["accessor"])["data"]["id"],
        "token renew": lambda: token.renew(made["token"], increment="2h")["auth"]["lease_duration"],
        "token accessors": lambda: made["accessor"] in token.list_accessors()["data"]["keys"],
        "token revoke": lambda: token.revoke(made["token"]).status_code,
        "token orphan": lambda: token.create_orphan(policies=["default"])["auth"]["orphan"],
        "token revoke by accessor": lambda: (create(), token.revoke_accessor(made["accessor"]).status_code)[1],
        "token revoke and orphan": lambda: (create(), token.revoke_and_orphan_children(made["token"]).status_code)[1],
        "lookup-self": lambda: token.lookup_self()["data"]["policies"],
        "renew-self": lambda: with_own_token("renew_self")["auth"]["lease_duration"],  # type: ignore[index]
        "revoke-self": lambda: with_own_token("revoke_self").status_code,  # type: ignore[attr-defined]
        "token role write": lambda: token.create_or_update_role("r", allowed_policies="default").status_code,
        "token role read": lambda: token.read_role("r")["data"]["allowed_policies"],
        "token roles": lambda: "r" in token.list_roles()["data"]["keys"],
        "token by role": lambda: token.create(role_name="r")["auth"]["policies"],
        "token role delete": lambda: token.delete_role("r").status_code,
        "approle login": lambda: client.auth.approle.login(has["role_id"], has["secret_id"], use_token=False)["auth"][
            "token_type"
        ],
        "kv2 write": lambda: kv2.create_or_update_secret("a/b", {"x": "y"})["data"]["version"],
        "kv2 read": lambda: kv2.read_secret_version("a/b", raise_on_deleted_version=True)["data"]["data"],
        "kv2 list": lambda: kv2.list_secrets("a")["data"]["keys"],
        "kv2 patch": lambda: kv2.patch("a/b", {"z": "1"})["data"]["version"],
        "kv2 metadata": lambda: kv2.read_secret_metadata("a/b")["data"]["current_version"],
        "kv2 delete": lambda: kv2.delete_latest_version_of_secret("a/b").status_code,
        "kv1 write": lambda: kv1.create_or_update_secret("c", {"x": "y"}, mount_point="kv").status_code,
        "kv1 read": lambda: kv1.read_secret("c", mount_point="kv")["data"],
        "kv1 list": lambda: kv1.list_secrets("", mount_point="kv")["data"]["keys"],
    }


def outcome(call: Callable[[], object]) -> object:
    """What a call came to, a failure by its name."""
    try:
        return call()
    except Exception as exc:  # noqa: BLE001  whatever hvac raises is what is told
        return f"{type(exc).__name__}: {exc}"


def main() -> None:
    """Prints one JSON object."""
    url, authority = sys.argv[1:]
    has = json.load(sys.stdin)
    client = hvac.Client(url=url, token=has["root_token"], verify=authority)
    print(json.dumps({name: outcome(call) for name, call in calls(client, has).items()}))  # noqa: T201


if __name__ == "__main__":
    main()
