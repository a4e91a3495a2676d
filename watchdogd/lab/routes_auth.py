"""Tokens, roles, policies and logins: auth/token/*, auth/approle/*, sys/policies/acl/*, sys/capabilities-self.

Sources: OBS obs3 and obs5 (bodies, errors, warnings), TOKDOC, ENOS-TOK; section 8 of the reference.
"""

from __future__ import annotations

from collections.abc import Iterable

from watchdogd.lab import policies, tokens
from watchdogd.lab.call import Call, duration_s, rfc3339
from watchdogd.lab.reply import Rejected, Reply, empty, envelope, errors
from watchdogd.lab.route import Route
from watchdogd.lab.tokens import Token, TokenType

ROLES, APPROLES, SECRETS = "sys/token/role/", "auth/approle/role/", "auth/approle/secret/"
_BATCH_FORBIDS = ("num_uses", "period", "explicit_max_ttl")


def lookup_self(call: Call) -> Reply:
    """GET auth/token/lookup-self [OBS]."""
    call.authorise(wanted=frozenset({"read"}))
    if call.token is None:
        raise Rejected(call.permission_denied(invalid=True))
    return call.logical(_looked_up(call, call.token))


def lookup(call: Call) -> Reply:
    """POST auth/token/lookup [OBS]."""
    call.authorise()
    token = call.find_token(call.text("token"))
    if token is None:
        return errors(403, "bad token")
    return call.logical(_looked_up(call, token))


def revoke_self(call: Call) -> Reply:
    """POST auth/token/revoke-self [OBS]."""
    token = call.authenticate()
    if token.type is TokenType.BATCH:
        return errors(400, "batch tokens cannot be revoked")
    call.store.delete(tokens.TOKENS + token.id, now_s=call.now_s)
    return empty()


def create(call: Call) -> Reply:
    """POST auth/token/create, /create-orphan and /create/:role [OBS obs3, TOKDOC]."""
    call.authorise()
    parent = call.token
    if parent is None or parent.type is TokenType.BATCH:
        return errors(400, "batch tokens cannot create more tokens")
    role = _role(call)
    type_ = _token_type(str(role.get("token_type") or call.text("type") or TokenType.SERVICE.value))
    named = _names(role.get("allowed_policies") or call.body().get("policies")) or parent.policies
    _check_batch(call, type_, named)
    ttl_s, warnings = _ttl(call)
    warnings += [f'Policy "{p}" does not exist' for p in named if not _exists(call, p)]
    is_orphan = bool(role.get("orphan")) or call.flag("no_parent") or call.request.path.endswith("/create-orphan")
    with_default = set() if call.flag("no_default_policy") or policies.ROOT in named else {"default"}
    token = Token(
        id="",
        type=type_,
        policies=tuple(sorted({*named, *with_default})),
        created_utc_s=float(int(call.utc_s)),
        ttl_s=0.0 if policies.ROOT in named and not call.text("ttl") else ttl_s,
        accessor="" if type_ is TokenType.BATCH else call.cluster.chance.base62(24),
        parent="" if is_orphan else parent.id,
        path=call.request.path,
        renewable=type_ is TokenType.SERVICE and role.get("renewable", True) is not False,
        role=call.params.get("role", ""),
    )
    return call.logical(warnings=warnings, auth=_auth(_issued(call, token)))


def write_role(call: Call) -> Reply:
    """POST auth/token/roles/:name [OBS obs3:role write]."""
    call.authorise()
    call.write(ROLES + call.params["role"], dict(call.body()))
    return empty()


def write_policy(call: Call) -> Reply:
    """PUT sys/policies/acl/:name [OBS obs3]."""
    call.authorise()
    try:
        policies.parse(call.text("policy"))
    except policies.PolicyTextError as exc:
        return errors(400, f"failed to parse policy: {exc}")
    call.write(tokens.POLICIES + call.params["name"], {"policy": call.text("policy")})
    return empty()


def read_policy(call: Call) -> Reply:
    """GET sys/policies/acl/:name [OBS obs3]; missing: 404 with no error text."""
    call.authorise()
    entry = call.store.get(tokens.POLICIES + call.params["name"])
    if entry is None:
        return errors(404)
    return call.logical({"name": call.params["name"], "policy": entry.value["policy"]})


def delete_policy(call: Call) -> Reply:
    """DELETE sys/policies/acl/:name [OBS obs3]."""
    call.authorise()
    call.store.delete(tokens.POLICIES + call.params["name"], now_s=call.now_s)
    return empty()


def list_policies(call: Call) -> Reply:
    """LIST sys/policies/acl [OBS obs3]."""
    call.authorise()
    names = {k.removeprefix(tokens.POLICIES) for k in call.store.keys(tokens.POLICIES)}
    return call.logical({"keys": sorted(names | {"default", "root"})})


def capabilities_self(call: Call) -> Reply:
    """POST sys/capabilities-self: keyed by path, for one path under `capabilities` too; all of it also at the top."""
    token = call.authenticate()
    asked = _names(call.body().get("paths") or call.body().get("path"))
    if not asked:
        return errors(400, "paths must be supplied")
    found = {path: sorted(tokens.allowed(call.store, token, path)) or ["deny"] for path in asked}
    data: dict[str, object] = {**found}
    if len(asked) == 1:
        data["capabilities"] = found[asked[0]]
    return envelope(call.cluster.chance.uuid(), data=data, top=data)


def approle_login(call: Call) -> Reply:
    """POST auth/approle/login [OBS obs5]."""
    role_id, secret_id = call.text("role_id"), call.text("secret_id")
    if not role_id:
        return errors(400, "missing role_id")
    secret = call.store.get(SECRETS + secret_id)
    if secret is None or secret.value["role_id"] != role_id:
        return errors(400, "invalid role or secret ID")
    name = str(secret.value["role"])
    role = call.store.get(APPROLES + name)
    if role is None:
        return errors(400, "invalid role or secret ID")
    token = Token(
        id="",
        type=TokenType.SERVICE,
        policies=tuple(sorted({*_names(role.value.get("token_policies")), "default"})),
        created_utc_s=float(int(call.utc_s)),
        ttl_s=duration_s(str(role.value.get("token_ttl", "1h"))),
        accessor=call.cluster.chance.base62(24),
        display_name="approle",
        path="auth/approle/login",
        renewable=True,
    )
    return call.logical(auth=_auth(_issued(call, token)) | {"metadata": {"role_name": name}})


def approle_write(call: Call) -> Reply:
    """POST auth/approle/role/:name [OBS obs5]; its role_id is made with it."""
    call.authorise()
    key = APPROLES + call.params["role"]
    known = call.store.get(key)
    role_id = known.value["role_id"] if known is not None else call.cluster.chance.uuid()
    call.write(key, {**call.body(), "role_id": role_id})
    return empty()


def approle_role_id(call: Call) -> Reply:
    """GET auth/approle/role/:name/role-id [OBS obs5]."""
    call.authorise()
    role = call.store.get(APPROLES + call.params["role"])
    return errors(404) if role is None else call.logical({"role_id": role.value["role_id"]})


def approle_secret_id(call: Call) -> Reply:
    """POST auth/approle/role/:name/secret-id [OBS obs5]."""
    call.authorise()
    role = call.store.get(APPROLES + call.params["role"])
    if role is None:
        return errors(404)
    secret_id, accessor = call.cluster.chance.uuid(), call.cluster.chance.uuid()
    call.write(SECRETS + secret_id, {"role": call.params["role"], "role_id": role.value["role_id"]})
    return call.logical(
        {"secret_id": secret_id, "secret_id_accessor": accessor, "secret_id_num_uses": 0, "secret_id_ttl": 0}
    )


def _role(call: Call) -> dict[str, object]:
    name = call.params.get("role")
    if name is None:
        return {}
    entry = call.store.get(ROLES + name)
    if entry is None:
        raise Rejected(errors(400, f"unknown role {name}"))
    return dict(entry.value)


def _token_type(text: str) -> TokenType:
    if text.removeprefix("default-") not in list(TokenType):
        raise Rejected(errors(400, "invalid 'token_type' value"))
    return TokenType(text.removeprefix("default-"))


def _check_batch(call: Call, type_: TokenType, named: Iterable[str]) -> None:
    if type_ is not TokenType.BATCH:
        return
    for name in _BATCH_FORBIDS:
        if call.body().get(name):
            raise Rejected(errors(400, f'batch tokens cannot have "{name}" set'))
    if policies.ROOT in named:
        raise Rejected(errors(400, "batch tokens cannot be root tokens"))


def _ttl(call: Call) -> tuple[float, list[str]]:
    """The time to live and the warning if it was cut (it shortens a DR batch token without failing)."""
    text, most_s = call.text("ttl"), call.knobs.max_lease_ttl_s
    asked_s = duration_s(text) if text else most_s
    if asked_s <= most_s:
        return asked_s or most_s, []
    most = f"{most_s / 3600:g}h"
    return most_s, [f'TTL of "{text}" exceeded the effective max_ttl of "{most}"; TTL value is capped accordingly']


def _exists(call: Call, policy: str) -> bool:
    return policy in ("default", policies.ROOT) or call.store.get(tokens.POLICIES + policy) is not None


def _issued(call: Call, token: Token) -> Token:
    cluster = call.cluster
    if token.type is TokenType.BATCH:
        return tokens.seal_batch(call.store, token, version=cluster.version, chance=cluster.chance)
    named = tokens.with_id(token, tokens.new_id(cluster.chance, cluster.version))
    return tokens.keep(call.store, named, now_s=call.now_s, utc_s=call.utc_s)


def _auth(token: Token) -> dict[str, object]:
    return {
        "client_token": token.id,
        "accessor": token.accessor,
        "policies": list(token.policies),
        "token_policies": list(token.policies),
        "metadata": None,
        "lease_duration": int(token.ttl_s),
        "renewable": token.renewable,
        "entity_id": "",
        "token_type": token.type.value,
        "orphan": not token.parent,
        "mfa_requirement": None,
        "num_uses": 0,
    }


def _looked_up(call: Call, token: Token) -> dict[str, object]:
    ends = token.expires_utc_s
    data: dict[str, object] = {
        "accessor": token.accessor,
        "creation_time": int(token.created_utc_s),
        "creation_ttl": int(token.ttl_s),
        "display_name": token.display_name,
        "entity_id": "",
        "expire_time": None if ends is None else rfc3339(ends),
        "explicit_max_ttl": 0,
        "id": token.id,
        "meta": None,
        "num_uses": 0,
        "orphan": not token.parent,
        "path": token.path,
        "policies": list(token.policies),
        "ttl": 0 if ends is None else max(0, int(ends - call.utc_s)),
        "type": token.type.value,
    }
    if not token.is_root:
        data |= {"issue_time": rfc3339(token.created_utc_s), "renewable": token.renewable}
    if token.role:
        data["role"] = token.role
    return dict(sorted(data.items()))


def _names(value: object) -> tuple[str, ...]:
    if isinstance(value, list):
        return tuple(map(str, value))
    return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else ()


ROUTES: tuple[Route, ...] = (
    Route("LIST", "sys/policies/acl", list_policies, "OBS"),
    Route("PUT", "sys/policies/acl/<name>", write_policy, "OBS ENOS-TOK"),
    Route("GET", "sys/policies/acl/<name>", read_policy, "OBS"),
    Route("DELETE", "sys/policies/acl/<name>", delete_policy, "OBS"),
    Route("PUT", "sys/policy/<name>", write_policy, "TC OBS"),
    Route("PUT", "sys/capabilities-self", capabilities_self, "APIDOC"),
    Route("GET", "auth/token/lookup-self", lookup_self, "OBS"),
    Route("PUT", "auth/token/lookup", lookup, "OBS"),
    Route("PUT", "auth/token/revoke-self", revoke_self, "OBS"),
    Route("PUT", "auth/token/create", create, "OBS TOKDOC"),
    Route("PUT", "auth/token/create-orphan", create, "OBS"),
    Route("PUT", "auth/token/create/<role>", create, "OBS ENOS-TOK"),
    Route("PUT", "auth/token/roles/<role>", write_role, "OBS ENOS-TOK"),
    Route("PUT", "auth/approle/login", approle_login, "OBS"),
    Route("PUT", "auth/approle/role/<role>", approle_write, "OBS"),
    Route("GET", "auth/approle/role/<role>/role-id", approle_role_id, "OBS"),
    Route("PUT", "auth/approle/role/<role>/secret-id", approle_secret_id, "OBS"),
)
