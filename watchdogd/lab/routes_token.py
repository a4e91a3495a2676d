"""auth/token/* and what a token may do: sys/capabilities*.

Sources: OBS obs3 (bodies, errors, warnings; OpenBao asked the same), TOKDOC, ENOS-TOK; section 8 of the reference.
"""

from __future__ import annotations

from watchdogd.lab import tokens
from watchdogd.lab.call import Call, rfc3339
from watchdogd.lab.reply import Rejected, Reply, empty, envelope, errors
from watchdogd.lab.route import Route
from watchdogd.lab.token_creation import capped, created
from watchdogd.lab.token_role import ROLES, TokenRole
from watchdogd.lab.tokens import Token, TokenType

_READ, _UPDATE = frozenset({"read"}), frozenset({"update"})
_INITIAL_ROOT = "auth/token/root"
TIDYING = (
    "Tidy operation successfully started. Any information from the operation will be printed to Vault's server logs."
)


def lookup_self(call: Call) -> Reply:
    """GET auth/token/lookup-self [OBS]."""
    call.authorise(wanted=_READ)
    return call.logical(_looked_up(call, call.authenticate()))


def lookup(call: Call) -> Reply:
    """GET and POST auth/token/lookup [OBS]; without a token in it, the caller's own."""
    call.authorise()
    text = call.text("token") or call.request.query.get("token") or call.request.token_text
    token = call.find_token(text)
    return errors(403, "bad token") if token is None else call.logical(_looked_up(call, token))


def lookup_accessor(call: Call) -> Reply:
    """POST auth/token/lookup-accessor [OBS: OpenBao]; never shows the token itself."""
    call.authorise()
    return call.logical(_looked_up(call, _by_accessor(call)) | {"id": ""})


def list_accessors(call: Call) -> Reply:
    """LIST auth/token/accessors [OBS: OpenBao]: needs `sudo`."""
    call.authorise(sudo=True)
    return call.logical({"keys": [token.accessor for token in tokens.all_kept(call.store, call.utc_s)]})


def create(call: Call) -> Reply:
    """POST auth/token/create, /create-orphan and /create/:role [OBS obs3, TOKDOC]."""
    call.authorise()
    token, warnings = created(call)
    return call.logical(warnings=warnings, auth=auth(issued(call, token)))


def renew_self(call: Call) -> Reply:
    """POST auth/token/renew-self [OBS: OpenBao]."""
    call.authorise()
    return _renewed(call, call.authenticate())


def renew(call: Call) -> Reply:
    """POST auth/token/renew [OBS: OpenBao]."""
    call.authorise()
    token = call.find_token(_token_text(call))
    return errors(400, "token not found") if token is None else _renewed(call, token)


def renew_accessor(call: Call) -> Reply:
    """POST auth/token/renew-accessor [OBS: OpenBao]; never shows the token itself."""
    call.authorise()
    return _renewed(call, _by_accessor(call), shows_token=False)


def revoke_self(call: Call) -> Reply:
    """POST auth/token/revoke-self [OBS]."""
    call.authorise()
    return _revoked(call, call.authenticate())


def revoke(call: Call) -> Reply:
    """POST auth/token/revoke [OBS: OpenBao]: with all its children; an unknown one is gone already."""
    call.authorise()
    token = call.find_token(_token_text(call))
    return empty() if token is None else _revoked(call, token)


def revoke_orphan(call: Call) -> Reply:
    """POST auth/token/revoke-orphan [OBS: OpenBao]: its children live on; needs `sudo`."""
    call.authorise(sudo=True)
    token = call.find_token(_token_text(call))
    return errors(400, "token to revoke not found") if token is None else _revoked(call, token, with_children=False)


def revoke_accessor(call: Call) -> Reply:
    """POST auth/token/revoke-accessor [OBS: OpenBao]."""
    call.authorise()
    token = tokens.by_accessor(call.store, _accessor(call), call.utc_s)
    if token is None:
        return call.logical(warnings=["No token found with this accessor"])
    return _revoked(call, token)


def tidy(call: Call) -> Reply:
    """POST auth/token/tidy [OBS: OpenBao]: there is nothing to tidy here."""
    call.authorise()
    return envelope(call.cluster.chance.uuid(), warnings=[TIDYING], status=202)


# ------------------------------------------------------------------------------------------------------------- roles


def write_role(call: Call) -> Reply:
    """POST auth/token/roles/:name [OBS obs3:role write]; what it does not name stays."""
    call.authorise()
    name = call.params["role"]
    known = call.store.get(ROLES + name)
    fields = {**(known.value if known is not None else {}), **call.body()}
    TokenRole.of(name, fields)
    call.write(ROLES + name, fields)
    return empty()


def read_role(call: Call) -> Reply:
    """GET auth/token/roles/:name [OBS: OpenBao]."""
    call.authorise()
    entry = call.store.get(ROLES + call.params["role"])
    if entry is None:
        return errors(404)
    return call.logical(TokenRole.of(call.params["role"], entry.value).shown(entry.value))


def list_roles(call: Call) -> Reply:
    """LIST auth/token/roles [OBS: OpenBao]; none: 404 with no error text."""
    call.authorise()
    names = [key.removeprefix(ROLES) for key in call.store.keys(ROLES)]
    return call.logical({"keys": names}) if names else errors(404)


def delete_role(call: Call) -> Reply:
    """DELETE auth/token/roles/:name [OBS: OpenBao]."""
    call.authorise()
    call.store.delete(ROLES + call.params["role"], now_s=call.now_s)
    return empty()


# ------------------------------------------------------------------------------------------------------ capabilities


def capabilities_self(call: Call) -> Reply:
    """POST sys/capabilities-self [OBS obs3]."""
    return _capabilities(call, call.authenticate())


def capabilities(call: Call) -> Reply:
    """POST sys/capabilities [OBS: OpenBao]: of another token."""
    call.authorise()
    asked, text = _paths(call), call.text("token")
    if not text:
        return errors(500, "1 error occurred:\n\t* no token found\n\n")
    token = call.find_token(text)
    return _capabilities(call, token, asked) if token else errors(400, "1 error occurred:\n\t* invalid token\n\n")


def capabilities_accessor(call: Call) -> Reply:
    """POST sys/capabilities-accessor [OBS: OpenBao]."""
    call.authorise()
    if not call.text("accessor"):
        return errors(400, "missing accessor")
    return _capabilities(call, _by_accessor(call))


def _paths(call: Call) -> tuple[str, ...]:
    asked = call.names("paths", "path")
    if not asked:
        raise Rejected(errors(400, "paths must be supplied"))
    return asked


def _capabilities(call: Call, token: Token, asked: tuple[str, ...] = ()) -> Reply:
    """Keyed by path, for one path under `capabilities` too; all of it also at the top."""
    asked = asked or _paths(call)
    found = {path: sorted(tokens.allowed(call.store, token, path)) or ["deny"] for path in asked}
    data: dict[str, object] = {**found}
    if len(asked) == 1:
        data["capabilities"] = found[asked[0]]
    return envelope(call.cluster.chance.uuid(), data=data, top=data)


# ------------------------------------------------------------------------------------------------------------ shared


def issued(call: Call, token: Token) -> Token:
    """The token with its text: stored, or for a batch token carried in the text."""
    cluster = call.cluster
    if token.type is TokenType.BATCH:
        return tokens.seal_batch(call.store, token, version=cluster.version, chance=cluster.chance)
    named = token if token.id else tokens.with_id(token, tokens.new_id(cluster.chance, cluster.token_version))
    return tokens.keep(call.store, named, now_s=call.now_s, utc_s=call.utc_s)


def auth(token: Token, lease_s: float | None = None) -> dict[str, object]:
    """The `auth` of an answer that hands a token out."""
    return {
        "client_token": token.id,
        "accessor": token.accessor,
        "policies": list(token.policies),
        "token_policies": list(token.policies),
        "metadata": token.meta,
        "lease_duration": int(token.ttl_s if lease_s is None else lease_s),
        "renewable": token.renewable,
        "entity_id": "",
        "token_type": token.type.value,
        "orphan": not token.parent,
        "mfa_requirement": None,
        "num_uses": token.num_uses,
    }


def _token_text(call: Call) -> str:
    text = call.text("token")
    if not text:
        raise Rejected(errors(400, "missing token ID"))
    return text


def _accessor(call: Call) -> str:
    text = call.text("accessor")
    if not text:
        raise Rejected(errors(400, "1 error occurred:\n\t* missing accessor\n\n"))
    return text


def _by_accessor(call: Call) -> Token:
    token = tokens.by_accessor(call.store, _accessor(call), call.utc_s)
    if token is None:
        raise Rejected(errors(400, "1 error occurred:\n\t* invalid accessor\n\n"))
    return token


def _revoked(call: Call, token: Token, *, with_children: bool = True) -> Reply:
    if token.type is TokenType.BATCH:
        return errors(400, "batch tokens cannot be revoked")
    tokens.revoke(call.store, token, now_s=call.now_s, utc_s=call.utc_s, with_children=with_children)
    return empty()


def _renewed(call: Call, token: Token, *, shows_token: bool = True) -> Reply:
    """By the increment or as long as at first, within what its creation allows; a periodic one by its period."""
    if token.type is TokenType.BATCH:
        return errors(400, "batch tokens cannot be renewed")
    if not token.ttl_s and token.path == _INITIAL_ROOT:
        return errors(400, "invalid lease ID")
    if not token.renewable:
        return errors(400, "lease is not renewable")
    warnings: list[str] = []
    most_s = token.created_utc_s + (token.max_s or call.knobs.max_lease_ttl_s) - int(call.utc_s)
    if token.period_s:
        for_s = min(token.period_s, most_s) if token.max_s else token.period_s
    else:
        for_s = capped(call.seconds("increment") or token.ttl_s, most_s, warnings)
    lease = tokens.renewed(token, for_s=for_s, utc_s=call.utc_s)
    tokens.keep(call.store, lease, now_s=call.now_s, utc_s=call.utc_s)
    shown = auth(lease, round(for_s))
    return call.logical(warnings=warnings, auth=shown if shows_token else shown | {"client_token": ""})


def _looked_up(call: Call, token: Token) -> dict[str, object]:
    ends = token.expires_utc_s
    data: dict[str, object] = {
        "accessor": token.accessor,
        "creation_time": int(token.created_utc_s),
        "creation_ttl": int(token.ttl_s),
        "display_name": token.display_name,
        "entity_id": "",
        "expire_time": None if ends is None else rfc3339(ends),
        "explicit_max_ttl": int(token.explicit_max_s),
        "id": token.id,
        "meta": token.meta,
        "num_uses": token.num_uses,
        "orphan": not token.parent,
        "path": token.path,
        "policies": list(token.policies),
        "ttl": 0 if ends is None else max(0, int(ends - call.utc_s)),
        "type": token.type.value,
    }
    if token.path != _INITIAL_ROOT:
        data |= {"issue_time": rfc3339(token.created_utc_s), "renewable": token.renewable}
    if token.renewed_utc_s:
        data |= {"last_renewal": rfc3339(token.renewed_utc_s), "last_renewal_time": int(token.renewed_utc_s)}
    if token.period_s:
        data["period"] = int(token.period_s)
    if token.role:
        data["role"] = token.role
    return dict(sorted(data.items()))


ROUTES: tuple[Route, ...] = (
    Route("PUT", "sys/capabilities-self", capabilities_self, "APIDOC"),
    Route("PUT", "sys/capabilities", capabilities, "APIDOC OBS"),
    Route("PUT", "sys/capabilities-accessor", capabilities_accessor, "APIDOC OBS"),
    Route("GET", "auth/token/lookup-self", lookup_self, "OBS"),
    Route("GET PUT", "auth/token/lookup", lookup, "OBS"),
    Route("PUT", "auth/token/lookup-accessor", lookup_accessor, "TOKDOC OBS"),
    Route("LIST", "auth/token/accessors", list_accessors, "TOKDOC OBS"),
    Route("PUT", "auth/token/renew-self", renew_self, "TOKDOC OBS"),
    Route("PUT", "auth/token/renew", renew, "TOKDOC OBS"),
    Route("PUT", "auth/token/renew-accessor", renew_accessor, "TOKDOC OBS"),
    Route("PUT", "auth/token/revoke-self", revoke_self, "OBS"),
    Route("PUT", "auth/token/revoke", revoke, "TOKDOC OBS"),
    Route("PUT", "auth/token/revoke-orphan", revoke_orphan, "TOKDOC OBS"),
    Route("PUT", "auth/token/revoke-accessor", revoke_accessor, "TOKDOC OBS"),
    Route("PUT", "auth/token/tidy", tidy, "TOKDOC OBS"),
    Route("PUT", "auth/token/create", create, "OBS TOKDOC"),
    Route("PUT", "auth/token/create-orphan", create, "OBS"),
    Route("PUT", "auth/token/create/<role>", create, "OBS ENOS-TOK"),
    Route("LIST", "auth/token/roles", list_roles, "TOKDOC OBS"),
    Route("PUT", "auth/token/roles/<role>", write_role, "OBS ENOS-TOK"),
    Route("GET", "auth/token/roles/<role>", read_role, "TOKDOC OBS"),
    Route("DELETE", "auth/token/roles/<role>", delete_role, "TOKDOC OBS"),
)
