"""What a real OpenBao and the lab are both asked of AppRoles and their secret ids."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tests.support.asking_both import Ask

ROLE = "auth/approle/role"
LIMITED: Mapping[str, object] = {
    "token_policies": "default,a",
    "token_ttl": "1h",
    "token_max_ttl": "2h",
    "secret_id_ttl": "10m",
    "secret_id_num_uses": 2,
    "token_num_uses": 3,
}


def _ask(
    name: str, path: str, body: object = None, method: str = "", *, keep: Mapping[str, Sequence[str]] | None = None
) -> Ask:
    method = method or ("GET" if body is None else "POST")
    return Ask(name=f"approle: {name}", path=f"/v1/{path}", method=method, body=body, keep=keep or {})


def _roles() -> Iterator[Ask]:
    roles: dict[str, Mapping[str, object]] = {
        "limited": LIMITED,
        "plain": {},
        "open": {"bind_secret_id": False, "token_bound_cidrs": ["127.0.0.1/8"], "token_policies": ["default"]},
        "named": {"role_id": "my-role-id"},
        "flat": {"token_type": "batch", "token_policies": "default"},
        "periodic": {"token_period": "30m", "token_no_default_policy": True, "token_policies": "a"},
    }
    for name, fields in roles.items():
        yield _ask(f"role {name}", f"{ROLE}/{name}", fields)
        yield _ask(f"role {name} read", f"{ROLE}/{name}")
        yield _ask(f"{name} role-id", f"{ROLE}/{name}/role-id", keep={f"{name}_id": ["data", "role_id"]})
    yield _ask("a change", f"{ROLE}/limited", {"token_ttl": "30m"})
    yield _ask("changed", f"{ROLE}/limited")
    refused: dict[str, Mapping[str, object]] = {
        "unbound": {"bind_secret_id": False},
        "longer than longest": {"token_ttl": "3h", "token_max_ttl": "2h"},
        "strange type": {"token_type": "strange"},
        "uses below none": {"secret_id_num_uses": -1},
        "id of another": {"role_id": "my-role-id"},
    }
    for what, fields in refused.items():
        yield _ask(what, f"{ROLE}/refused", fields)
    yield _ask("role of nobody", f"{ROLE}/nobody")
    yield _ask("another role-id", f"{ROLE}/named/role-id", {"role_id": "chosen"})
    yield _ask("another role-id read", f"{ROLE}/named/role-id")
    yield _ask("no role-id", f"{ROLE}/named/role-id", {})
    yield Ask(name="approle: roles", path=f"/v1/{ROLE}", method="LIST", part=["lease_duration"])
    for path in ("policies", "period", "token-ttl", "token-max-ttl", "token-num-uses", "secret-id-ttl"):
        yield _ask(f"setting {path}", f"{ROLE}/limited/{path}")
    for path in ("policies", "period", "token-ttl", "token-max-ttl", "token-num-uses", "secret-id-num-uses"):
        field = {"policies": "token_policies", "period": "token_period"}.get(path, path.replace("-", "_"))
        value: object = "a" if path == "policies" else 5
        yield _ask(f"set {path}", f"{ROLE}/plain/{path}", {field: value})
        yield _ask(f"{path} set", f"{ROLE}/plain/{path}")
        yield _ask(f"unset {path}", f"{ROLE}/plain/{path}", method="DELETE")
        yield _ask(f"{path} unset", f"{ROLE}/plain/{path}")
    yield _ask("set secret-id-ttl", f"{ROLE}/plain/secret-id-ttl", {"secret_id_ttl": "20m"})
    yield _ask("unset secret-id-ttl", f"{ROLE}/plain/secret-id-ttl", method="DELETE")


def _secrets() -> Iterator[Ask]:
    kept = {"first": ["data", "secret_id"], "first_accessor": ["data", "secret_id_accessor"]}
    of = f"{ROLE}/limited"
    yield _ask("no secrets", f"{ROLE}/plain/secret-id", method="LIST")
    yield _ask("secrets of nobody", f"{ROLE}/nobody/secret-id", method="LIST")
    yield _ask("secret", f"{of}/secret-id", {}, keep=kept)
    yield _ask("lookup", f"{of}/secret-id/lookup", {"secret_id": "$first"})
    yield _ask("lookup a stranger", f"{of}/secret-id/lookup", {"secret_id": "no"})
    yield _ask("lookup nothing", f"{of}/secret-id/lookup", {})
    yield _ask("lookup at nobody", f"{ROLE}/nobody/secret-id/lookup", {"secret_id": "no"})
    for verb in ("lookup", "destroy"):
        path = f"{of}/secret-id-accessor/{verb}"
        yield _ask(f"{verb} by a strange accessor", path, {"secret_id_accessor": "no"})
        yield _ask(f"{verb} by no accessor", path, {})
    yield _ask("lookup by accessor", f"{of}/secret-id-accessor/lookup", {"secret_id_accessor": "$first_accessor"})
    yield _ask("secret of nobody", f"{ROLE}/nobody/secret-id", {})
    yield _ask("secret of the open", f"{ROLE}/open/secret-id", {})
    yield _ask("secret once", f"{of}/secret-id", {"metadata": '{"k":"v"}', "ttl": "5m", "num_uses": 1})
    yield _ask("secret too long", f"{of}/secret-id", {"ttl": "5h"})
    yield _ask("secret too often", f"{of}/secret-id", {"num_uses": 5})
    yield _ask("secret with nonsense", f"{of}/secret-id", {"metadata": "nonsense"})
    for role in ("plain", "limited"):
        yield _ask(f"own secret of {role}", f"{ROLE}/{role}/custom-secret-id", {"secret_id": "mine"})
    yield _ask("own secret of none", f"{ROLE}/plain/custom-secret-id", {})


def _logins() -> Iterator[Ask]:
    for name, body in (
        ("once", {"role_id": "$limited_id", "secret_id": "$first"}),
        ("twice", {"role_id": "$limited_id", "secret_id": "$first"}),
        ("too often", {"role_id": "$limited_id", "secret_id": "$first"}),
        ("of its own", {"role_id": "$plain_id", "secret_id": "mine"}),
        ("without a secret", {"role_id": "$limited_id"}),
        ("of a stranger", {"role_id": "no", "secret_id": "x"}),
        ("open", {"role_id": "$open_id"}),
    ):
        path = "/v1/auth/approle/login"
        kept = {f"login_{name.replace(' ', '_')}": ["auth", "client_token"]}
        yield Ask(name=f"login {name}", path=path, method="POST", body=body, token="", keep=kept)
    yield Ask(name="lookup of login", path="/v1/auth/token/lookup-self", token="$login_once")
    for role in ("flat", "periodic"):
        yield _ask(f"secret of {role}", f"{ROLE}/{role}/custom-secret-id", {"secret_id": role})
        body = {"role_id": f"${role}_id", "secret_id": role}
        yield Ask(name=f"login {role}", path="/v1/auth/approle/login", method="POST", body=body, token="")


def _ends() -> Iterator[Ask]:
    of = f"{ROLE}/plain"
    for turn in ("first", "again"):
        yield _ask(f"destroy {turn}", f"{of}/secret-id/destroy", {"secret_id": "mine"})
    yield _ask("destroy by DELETE", f"{of}/secret-id/destroy?secret_id=x", method="DELETE")
    yield _ask("destroy nothing", f"{of}/secret-id/destroy", {})
    for method in ("POST", "DELETE"):
        kept = {"last_accessor": ["data", "secret_id_accessor"]}
        yield _ask(f"secret to {method}", f"{of}/secret-id", {}, keep=kept)
        path = f"{of}/secret-id-accessor/destroy"
        if method == "POST":
            yield _ask("destroy by accessor", path, {"secret_id_accessor": "$last_accessor"})
        else:
            yield _ask("destroy by accessor in the query", f"{path}?secret_id_accessor=$last_accessor", method=method)
    yield _ask("tidy", "auth/approle/tidy/secret-id", {})
    for role in ("limited", "plain", "flat", "periodic", "nobody"):
        yield _ask(f"delete {role}", f"{ROLE}/{role}", method="DELETE")
    yield _ask("deleted", f"{ROLE}/limited")


APPROLE_ASKS = (*_roles(), *_secrets(), *_logins(), *_ends())
