"""AppRole: auth/approle/*.

Sources: OBS obs5 (bodies, errors); section 8 of the reference.
"""

from __future__ import annotations

from watchdogd.lab.call import Call, duration_s, names_in
from watchdogd.lab.reply import Reply, empty, errors
from watchdogd.lab.route import Route
from watchdogd.lab.routes_token import auth, issued
from watchdogd.lab.tokens import Token, TokenType

APPROLES, SECRETS = "auth/approle/role/", "auth/approle/secret/"


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
        policies=tuple(sorted({*names_in(role.value.get("token_policies")), "default"})),
        created_utc_s=float(int(call.utc_s)),
        ttl_s=duration_s(str(role.value.get("token_ttl", "1h"))),
        accessor=call.cluster.chance.base62(24),
        display_name="approle",
        path="auth/approle/login",
        renewable=True,
    )
    return call.logical(auth=auth(issued(call, token)) | {"metadata": {"role_name": name}})


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


ROUTES: tuple[Route, ...] = (
    Route("PUT", "auth/approle/login", approle_login, "OBS"),
    Route("PUT", "auth/approle/role/<role>", approle_write, "OBS"),
    Route("GET", "auth/approle/role/<role>/role-id", approle_role_id, "OBS"),
    Route("PUT", "auth/approle/role/<role>/secret-id", approle_secret_id, "OBS"),
)
