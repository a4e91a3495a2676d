"""What a real OpenBao and the lab are both asked of tokens: what callers may make, and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tests.support.asking_both import Ask

ROOT = "$root"
CREATE = "".join(
    f'path "auth/token/{path}" {{ capabilities = ["update"] }}\n' for path in ("create", "create/*", "create-orphan")
)
SUDO = CREATE.replace('["update"]', '["update", "sudo"]')


def post(name: str, path: str, body: object, *, token: str = ROOT, keep: Sequence[str] = ()) -> Ask:
    """A POST below auth/token/; `keep` are two names that token and accessor of the answer are kept under."""
    kept = dict(zip(keep, (["auth", "client_token"], ["auth", "accessor"]), strict=False))
    return Ask(name=name, path=f"/v1/auth/token/{path}", method="POST", body=body, token=token, keep=kept)


def _callers() -> Iterator[Ask]:
    for who, policy in (("creator", CREATE), ("freer", SUDO)):
        yield Ask(name=f"policy of {who}", path=f"/v1/sys/policies/acl/{who}", method="PUT", body={"policy": policy})
        yield post(f"{who}", "create", {"policies": [who], "ttl": "1h"}, keep=[who])
        token = f"${who}"
        yield post(f"{who} asks for root", "create", {"policies": ["root"]}, token=token)
        yield post(f"{who} asks for more", "create", {"policies": ["promotion"]}, token=token)
        yield post(f"{who} asks for nothing", "create", {}, token=token)
        yield post(f"{who} asks for an orphan", "create", {"no_parent": True}, token=token)
        yield post(f"{who} makes an orphan", "create-orphan", {"policies": [who]}, token=token)
        yield post(f"{who} makes an orphan with more", "create-orphan", {"policies": ["promotion"]}, token=token)
        yield post(f"{who} asks for an id", "create", {"id": f"id-of-{who}"}, token=token)
        yield post(f"{who} asks for a period", "create", {"period": "1h"}, token=token)
        yield post(f"{who} without default", "create", {"policies": [who], "no_default_policy": True}, token=token)
        yield post(f"{who} in few uses", "create", {"num_uses": 3}, token=token, keep=[f"few_{who}"])
        yield post(f"{who} of few uses", "create", {}, token=f"$few_{who}")


def _odd() -> Iterator[Ask]:
    bodies: dict[str, dict[str, object]] = {
        "an alias": {"entity_alias": "x"},
        "uses below none": {"num_uses": -1},
        "an id with a dot": {"id": "a.b"},
        "an id with a prefix": {"id": "s.ab"},
        "a strange type": {"type": "strange"},
        "a short life": {"policies": ["default"], "ttl": "3h", "explicit_max_ttl": "1h"},
        "a period": {"policies": ["default"], "ttl": "1h", "period": "2h", "explicit_max_ttl": "10h"},
        "only a longest life": {"policies": ["default"], "explicit_max_ttl": "2h"},
        "meta and a name": {"policies": ["default"], "ttl": "1h", "meta": {"a": "b"}, "display_name": "foo bar"},
        "the old name of ttl": {"policies": ["default"], "lease": "30m"},
        "a whole number": {"policies": ["default"], "ttl": 90},
        "root for an hour": {"policies": ["root"], "ttl": "1h"},
    }
    for what, body in bodies.items():
        yield post(f"create with {what}", "create", body, keep=["odd"])
        if body.get("policies"):
            yield Ask(name=f"lookup with {what}", path="/v1/auth/token/lookup-self", token="$odd")


def _lives() -> Iterator[Ask]:
    yield post("alive", "create", {"policies": ["default"], "ttl": "1h"}, keep=["alive", "alive_accessor"])
    yield post("renew-self", "renew-self", {}, token="$alive")
    yield post("renew-self for longer", "renew-self", {"increment": "2h"}, token="$alive")
    yield post("renew too long", "renew", {"token": "$alive", "increment": "100000h"})
    yield post("renew shorter", "renew", {"token": "$alive", "increment": 60})
    yield post("renew nothing", "renew", {})
    yield post("renew a stranger", "renew", {"token": "s.no"})
    yield post("renew root", "renew-self", {})
    yield post("renew by accessor", "renew-accessor", {"accessor": "$alive_accessor", "increment": "90m"})
    yield post("lookup by accessor", "lookup-accessor", {"accessor": "$alive_accessor"})
    for verb in ("renew", "lookup", "revoke"):
        yield post(f"{verb} by a strange accessor", f"{verb}-accessor", {"accessor": "no"})
        yield post(f"{verb} by no accessor", f"{verb}-accessor", {})
    yield Ask(name="accessors denied", path="/v1/auth/token/accessors", method="LIST", token="$alive")
    yield Ask(name="accessors", path="/v1/auth/token/accessors", method="LIST", part=["lease_duration"])
    yield post("for ever once", "create", {"policies": ["default"], "ttl": "1h", "renewable": False}, keep=["once"])
    yield post("renew once", "renew-self", {}, token="$once")
    yield post("a batch token", "create", {"policies": ["default"], "ttl": "1h", "type": "batch"}, keep=["flat"])
    yield post("renew batch", "renew-self", {}, token="$flat")


def _ends() -> Iterator[Ask]:
    yield post("revoke batch", "revoke", {"token": "$flat"})
    yield post("revoke nothing", "revoke", {})
    yield post("revoke a stranger", "revoke", {"token": "s.no"})
    yield post("orphan a stranger", "revoke-orphan", {"token": "s.no"})
    yield post("orphan nothing", "revoke-orphan", {})
    yield post("orphan denied", "revoke-orphan", {"token": "$alive"}, token="$alive")
    for verb in ("revoke", "revoke-orphan"):
        yield post(f"parent to {verb}", "create", {"policies": ["root"], "ttl": "1h"}, keep=["parent"])
        yield post(
            f"child to {verb}", "create", {"policies": ["default"], "ttl": "1h"}, token="$parent", keep=["child"]
        )
        yield post(f"{verb} the parent", verb, {"token": "$parent"})
        yield Ask(name=f"child after {verb}", path="/v1/auth/token/lookup-self", token="$child")
    yield post("used twice", "create", {"policies": ["default"], "ttl": "1h", "num_uses": 2}, keep=["twice"])
    for which in ("first", "last", "no"):
        yield Ask(name=f"{which} use", path="/v1/auth/token/lookup-self", token="$twice")


def _looks() -> Iterator[Ask]:
    yield post("lookup without one", "lookup", {})
    yield Ask(name="lookup by GET", path="/v1/auth/token/lookup?token=$alive")
    paths = ["sys/mounts", "auth/token/lookup-self"]
    for name, path, body in (
        ("of a token", "capabilities", {"token": "$alive", "paths": paths}),
        ("of a stranger", "capabilities", {"token": "s.no", "paths": paths}),
        ("of nobody", "capabilities", {"paths": paths}),
        ("of a token nowhere", "capabilities", {"token": "$alive"}),
        ("by accessor", "capabilities-accessor", {"accessor": "$alive_accessor", "paths": paths}),
        ("by a strange accessor", "capabilities-accessor", {"accessor": "no", "paths": paths}),
        ("by no accessor", "capabilities-accessor", {"paths": paths}),
    ):
        yield Ask(name=f"capabilities {name}", path=f"/v1/sys/{path}", method="POST", body=body)
    yield post("revoke by accessor", "revoke-accessor", {"accessor": "$alive_accessor"})
    yield Ask(name="revoked by accessor", path="/v1/auth/token/lookup-self", token="$alive")
    yield post("tidy", "tidy", {})


def _roles() -> Iterator[Ask]:
    fields: dict[str, object] = {
        "allowed_policies": "a,b",
        "disallowed_policies": ["c"],
        "orphan": True,
        "renewable": False,
        "token_type": "service",
        "token_explicit_max_ttl": "2h",
        "path_suffix": "suffix",
        "token_period": "30m",
        "token_num_uses": 3,
        "token_no_default_policy": True,
    }
    roles: dict[str, dict[str, object]] = {
        "full": fields,
        "plain": {},
        "lessening": {"disallowed_policies": ["c"]},
        "globbing": {"allowed_policies_glob": "dev-*", "disallowed_policies_glob": ["dev-x*"]},
        "flat": {"token_type": "default-batch", "orphan": True, "renewable": False},
        "former": {"period": "1h", "explicit_max_ttl": "2h", "allowed_policies": ["default"]},
        "short": {"token_explicit_max_ttl": "2h", "allowed_policies": ["default"]},
    }
    wanted = ["a", "x", "c", "root", "default", "dev-1", "dev-x1"]
    for name, role in roles.items():
        yield post(f"role {name}", f"roles/{name}", role)
        yield Ask(name=f"role {name} read", path=f"/v1/auth/token/roles/{name}")
        yield post(f"by {name}", f"create/{name}", {})
        yield from (post(f"by {name}: {policy}", f"create/{name}", {"policies": [policy]}) for policy in wanted)
        yield post(f"by {name} for long", f"create/{name}", {"policies": ["default"], "ttl": "5h"})
        yield post(f"by {name} not for long", f"create/{name}", {"policies": ["default"], "explicit_max_ttl": "1h"})
    refused: dict[str, dict[str, object]] = {
        "batch": {"token_type": "batch"},
        "strange": {"token_type": "strange"},
        "batch orphan": {"token_type": "batch", "orphan": True},
        "batch period": {"token_type": "batch", "orphan": True, "renewable": False, "token_period": "1h"},
    }
    for what, role in refused.items():
        yield post(f"role refused: {what}", "roles/refused", role)
    yield Ask(name="role of nobody", path="/v1/auth/token/roles/nobody")
    yield Ask(name="roles", path="/v1/auth/token/roles", method="LIST", part=["lease_duration"])
    yield Ask(name="role delete", path="/v1/auth/token/roles/full", method="DELETE")
    yield Ask(name="role delete nobody", path="/v1/auth/token/roles/nobody", method="DELETE")


TOKEN_ASKS = (*_callers(), *_odd(), *_lives(), *_ends(), *_looks(), *_roles())
