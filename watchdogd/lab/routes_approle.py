"""AppRole: auth/approle/*.

Sources: OBS obs5 (bodies, errors; OpenBao asked the same); section 8 of the reference.
"""

from __future__ import annotations

from dataclasses import replace

from watchdogd.lab import forwarding
from watchdogd.lab.approle import (
    APPROLES,
    AppRole,
    SecretId,
    metadata_in,
    role_by_id,
    role_named,
    secret_of,
    secrets_of,
)
from watchdogd.lab.call import Call
from watchdogd.lab.reply import Rejected, Reply, empty, envelope, errors
from watchdogd.lab.route import Route
from watchdogd.lab.routes_token import TIDYING, auth, issued
from watchdogd.lab.token_role import as_count, sanitised
from watchdogd.lab.tokens import Token, TokenType

_NOT_VALID = "invalid role or secret ID"
_ROLE = "auth/approle/role/<role>"
_SETTINGS = {
    "policies": "token_policies",
    "period": "token_period",
    "token-ttl": "token_ttl",
    "token-max-ttl": "token_max_ttl",
    "token-num-uses": "token_num_uses",
    "secret-id-ttl": "secret_id_ttl",
    "secret-id-num-uses": "secret_id_num_uses",
}


def login(call: Call) -> Reply:
    """POST auth/approle/login [OBS obs5]."""
    role_id, text = call.text("role_id"), call.text("secret_id")
    if not role_id:
        return errors(400, "missing role_id")
    role = role_by_id(call, role_id)
    if role is None:
        return errors(400, _NOT_VALID)
    metadata: dict[str, str] = {}
    if role.bind_secret_id:
        if not text:
            return errors(400, "missing secret_id")
        secret = secret_of(call, role.name, text)
        if secret is None:
            return errors(400, _NOT_VALID)
        _use(call, secret)
        metadata = dict(secret.metadata)
    return call.logical(auth=auth(issued(call, _token(call, role, {**metadata, "role_name": role.name}))))


def write(call: Call) -> Reply:
    """POST auth/approle/role/:name [OBS obs5]; its role_id is made with it, what it does not name stays."""
    call.authorise()
    name = call.params["role"]
    known = call.store.get(APPROLES + name)
    fields = {**(known.value if known is not None else {}), **call.body()}
    if not fields.get("role_id"):
        fields["role_id"] = call.cluster.chance.uuid()
    _keep(call, name, fields)
    return empty()


def read(call: Call) -> Reply:
    """GET auth/approle/role/:name [OBS: OpenBao]."""
    call.authorise()
    role = role_named(call, call.params["role"])
    return errors(404) if role is None else call.logical(role.shown())


def list_roles(call: Call) -> Reply:
    """LIST auth/approle/role [OBS: OpenBao]; none: 404 with no error text."""
    call.authorise()
    names = [key.removeprefix(APPROLES) for key in call.store.keys(APPROLES)]
    return call.logical({"keys": names}) if names else errors(404)


def delete(call: Call) -> Reply:
    """DELETE auth/approle/role/:name [OBS: OpenBao], with its secret ids."""
    call.authorise()
    for secret in secrets_of(call, call.params["role"]):
        call.store.delete(secret.key, now_s=call.now_s)
    call.store.delete(APPROLES + call.params["role"], now_s=call.now_s)
    return empty()


def role_id(call: Call) -> Reply:
    """GET and POST auth/approle/role/:name/role-id [OBS obs5]."""
    call.authorise()
    name = call.params["role"]
    entry = call.store.get(APPROLES + name)
    if entry is None:
        return errors(404, *(["1 error occurred:\n\t* unsupported path\n\n"] if call.request.method == "PUT" else []))
    if call.request.method == "GET":
        return call.logical({"role_id": entry.value["role_id"]})
    if not call.text("role_id"):
        return errors(400, "missing role_id")
    _keep(call, name, {**entry.value, "role_id": call.text("role_id")})
    return empty()


def setting(call: Call) -> Reply:
    """GET, POST and DELETE of one field of a role, each under its own path [OBS: OpenBao]."""
    call.authorise()
    name, field = call.params["role"], _SETTINGS[call.request.path.rpartition("/")[2]]
    entry = call.store.get(APPROLES + name)
    if entry is None:
        return errors(404)
    if call.request.method == "GET":
        return call.logical({field: AppRole.of(name, entry.value).shown()[field]})
    fields = {key: value for key, value in entry.value.items() if key != field}
    if call.request.method == "PUT":
        fields[field] = call.body().get(field)
    _keep(call, name, fields)
    return empty()


# -------------------------------------------------------------------------------------------------------- secret ids


def new_secret_id(call: Call) -> Reply:
    """POST auth/approle/role/:name/secret-id [OBS obs5]."""
    call.authorise()
    return _made(call, call.cluster.chance.uuid())


def custom_secret_id(call: Call) -> Reply:
    """POST auth/approle/role/:name/custom-secret-id [OBS: OpenBao]: the caller chooses."""
    call.authorise()
    return _made(call, call.text("secret_id") or _missing("secret_id"))


def list_secret_ids(call: Call) -> Reply:
    """LIST auth/approle/role/:name/secret-id [OBS: OpenBao]: their accessors."""
    call.authorise()
    name = call.params["role"]
    if role_named(call, name) is None:
        return errors(400, f'role "{name}" does not exist')
    keys = [secret.accessor for secret in secrets_of(call, name)]
    return call.logical({"keys": keys}) if keys else errors(404)


def lookup(call: Call) -> Reply:
    """POST …/secret-id/lookup [OBS: OpenBao]; an unknown one: 204."""
    call.authorise()
    secret = _by_text(call)
    return empty() if secret is None else call.logical(secret.shown())


def destroy(call: Call) -> Reply:
    """POST and DELETE …/secret-id/destroy [OBS: OpenBao]; an unknown one is gone already."""
    call.authorise()
    secret = _by_text(call)
    if secret is not None:
        call.store.delete(secret.key, now_s=call.now_s)
    return empty()


def lookup_accessor(call: Call) -> Reply:
    """POST …/secret-id-accessor/lookup [OBS: OpenBao]; an unknown one: 404 with the reason as data."""
    call.authorise()
    secret, accessor = _by_accessor(call)
    if secret is None:
        data = {"error": _no_accessor(accessor)}
        return envelope(call.cluster.chance.uuid(), data=data, status=404)
    return call.logical(secret.shown())


def destroy_accessor(call: Call) -> Reply:
    """POST and DELETE …/secret-id-accessor/destroy [OBS: OpenBao]."""
    call.authorise()
    secret, accessor = _by_accessor(call)
    if secret is None:
        return errors(500, f"1 error occurred:\n\t* {_no_accessor(accessor)}\n\n")
    call.store.delete(secret.key, now_s=call.now_s)
    return empty()


def tidy(call: Call) -> Reply:
    """POST auth/approle/tidy/secret-id [OBS: OpenBao]: there is nothing to tidy here."""
    call.authorise()
    return envelope(call.cluster.chance.uuid(), warnings=[TIDYING], status=202)


# ------------------------------------------------------------------------------------------------------------ shared


def _keep(call: Call, name: str, fields: dict[str, object]) -> None:
    """Raises Rejected: a role that cannot be, or a role id that another role has."""
    role = AppRole.of(name, fields)
    known = role_by_id(call, role.role_id)
    if known is not None and known.name != name:
        raise Rejected(errors(500, "1 error occurred:\n\t* role_id already in use\n\n"))
    call.write(APPROLES + name, fields)


def _missing(field: str) -> str:
    raise Rejected(errors(400, f"missing {field}"))


def _made(call: Call, text: str) -> Reply:
    name = call.params["role"]
    role = role_named(call, name)
    if role is None:
        return errors(404, f'role "{name}" does not exist')
    if not role.bind_secret_id:
        return errors(400, "bind_secret_id is not set on the role")
    if secret_of(call, name, text) is not None:
        said = "failed to store secret_id: SecretID is already registered"
        return errors(500, f"1 error occurred:\n\t* {said}\n\n")
    uses = as_count(call.body().get("num_uses"), "num_uses cannot be negative")
    if uses > role.secret_id_num_uses > 0:
        return errors(400, "num_uses cannot be higher than the role's secret_id_num_uses")
    ttl_s = call.seconds("ttl")
    if ttl_s > role.secret_id_ttl_s > 0:
        return errors(400, "ttl cannot be longer than the role's secret_id_ttl")
    secret = SecretId(
        text=text,
        role=name,
        accessor=call.cluster.chance.uuid(),
        created_utc_s=call.utc_s,
        ttl_s=ttl_s or role.secret_id_ttl_s,
        num_uses=uses or role.secret_id_num_uses,
        metadata=metadata_in(call),
    )
    call.write(secret.key, secret.stored())
    shown = {"secret_id_num_uses": secret.num_uses, "secret_id_ttl": int(secret.ttl_s)}
    return call.logical({"secret_id": text, "secret_id_accessor": secret.accessor, **shown})


def _use(call: Call, secret: SecretId) -> None:
    """One use less; the last one removes it. It is counted where it is written, the token that it gives is not."""
    if not secret.num_uses:
        return
    store = forwarding.at_primary(call).store if call.store.is_replica else call.store
    if secret.num_uses == 1:
        store.delete(secret.key, now_s=call.now_s)
    else:
        left = replace(secret, num_uses=secret.num_uses - 1)
        store.put(secret.key, left.stored(), now_s=call.now_s, utc_s=call.utc_s)


def _by_text(call: Call) -> SecretId | None:
    """Raises Rejected: no secret id is named, or there is no such role."""
    text = call.text("secret_id") or call.request.query.get("secret_id") or _missing("secret_id")
    name = call.params["role"]
    if role_named(call, name) is None:
        raise Rejected(errors(500, f'1 error occurred:\n\t* role "{name}" does not exist\n\n'))
    return secret_of(call, name, text)


def _by_accessor(call: Call) -> tuple[SecretId | None, str]:
    query = call.request.query.get("secret_id_accessor")
    accessor = call.text("secret_id_accessor") or query or _missing("secret_id_accessor")
    found = (secret for secret in secrets_of(call, call.params["role"]) if secret.accessor == accessor)
    return next(found, None), accessor


def _no_accessor(accessor: str) -> str:
    return f'failed to find accessor entry for secret_id_accessor: "{accessor}"'


def _token(call: Call, role: AppRole, metadata: dict[str, str]) -> Token:
    type_ = TokenType.BATCH if role.token_type.endswith("batch") else TokenType.SERVICE
    max_s = min(filter(None, (role.token_max_ttl_s, role.token_explicit_max_ttl_s)), default=0.0)
    most_s = min(filter(None, (call.knobs.max_lease_ttl_s, max_s)))
    return Token(
        id="",
        type=type_,
        policies=sanitised(role.token_policies, default=not role.token_no_default_policy),
        created_utc_s=float(int(call.utc_s)),
        ttl_s=min(role.token_period_s or role.token_ttl_s or most_s, most_s),
        accessor="" if type_ is TokenType.BATCH else call.cluster.chance.base62(24),
        display_name="approle",
        path="auth/approle/login",
        renewable=type_ is TokenType.SERVICE,
        num_uses=0 if type_ is TokenType.BATCH else role.token_num_uses,
        period_s=role.token_period_s,
        explicit_max_s=role.token_explicit_max_ttl_s,
        max_s=max_s,
        meta=metadata,
    )


ROUTES: tuple[Route, ...] = (
    Route("PUT", "auth/approle/login", login, "OBS"),
    Route("LIST", "auth/approle/role", list_roles, "OBS"),
    Route("PUT", _ROLE, write, "OBS"),
    Route("GET", _ROLE, read, "OBS"),
    Route("DELETE", _ROLE, delete, "OBS"),
    Route("GET PUT", f"{_ROLE}/role-id", role_id, "OBS"),
    Route("PUT", f"{_ROLE}/secret-id", new_secret_id, "OBS"),
    Route("LIST", f"{_ROLE}/secret-id", list_secret_ids, "OBS"),
    Route("PUT", f"{_ROLE}/custom-secret-id", custom_secret_id, "OBS"),
    Route("PUT", f"{_ROLE}/secret-id/lookup", lookup, "OBS"),
    Route("PUT DELETE", f"{_ROLE}/secret-id/destroy", destroy, "OBS"),
    Route("PUT", f"{_ROLE}/secret-id-accessor/lookup", lookup_accessor, "OBS"),
    Route("PUT DELETE", f"{_ROLE}/secret-id-accessor/destroy", destroy_accessor, "OBS"),
    Route("PUT", "auth/approle/tidy/secret-id", tidy, "OBS"),
    *(Route("GET PUT DELETE", f"{_ROLE}/{path}", setting, "OBS") for path in _SETTINGS),
)
