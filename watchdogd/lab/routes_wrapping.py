"""Response wrapping: any answer with an envelope, kept for one use under a token of its own.

Sources: OBS obs4 and obs5, a real OpenBao asked the same; section 5 of the reference. What is wrapped is an entry of
the store and replicates, as the cubbyhole of a wrapping token does. Activation tokens are wrapped by `activation`,
which keeps them itself: what is not found here is asked there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from watchdogd.lab import activation, signing, tokens
from watchdogd.lab.call import Call, duration_s, rfc3339
from watchdogd.lab.reply import Rejected, Reply, envelope, errors
from watchdogd.lab.route import Route
from watchdogd.lab.store import Value

WRAPPED = "sys/wrapping/kept/"
NOT_VALID = activation.NOT_VALID
_DENIED = "1 error occurred:\n\t* permission denied\n\n"
_TTL_HEADER = "X-Vault-Wrap-TTL"


def asked_ttl_s(call: Call) -> float:
    """For how long the caller wants the answer wrapped; 0 for not at all. Raises Rejected (400)."""
    text = call.request.headers.get(_TTL_HEADER.lower(), "")
    if not text:
        return 0.0
    if text.startswith("-"):
        raise Rejected(errors(400, f"error parsing {_TTL_HEADER} header: requested wrap ttl cannot be negative"))
    try:
        return duration_s(text)
    except Rejected as exc:
        raise Rejected(errors(400, f'error parsing {_TTL_HEADER} header: time: invalid duration "{text}"')) from exc


def wrapped(call: Call, reply: Reply, ttl_s: float) -> Reply:
    """The reply behind a token; itself where it has no envelope, or is wrapped already."""
    body = _envelope_of(reply)
    if body is None or body["wrap_info"] is not None:
        return reply
    auth = body["auth"]
    accessor = str(auth["accessor"]) if isinstance(auth, Mapping) else ""
    is_jwt = call.request.headers.get("x-vault-wrap-format") == "jwt"
    path = call.request.path + ("/" if call.request.method == "LIST" else "")
    kept = {name: body[name] for name in ("data", "warnings", "auth", "lease_duration")}
    kept |= {"status": reply.status, "ttl_s": ttl_s, "path": path, "created": call.utc_s}
    return _issued(call, kept, wrapped_accessor=accessor, is_jwt=is_jwt)


def _envelope_of(reply: Reply) -> dict[str, object] | None:
    if not reply.body or reply.headers.get("Content-Type") != "application/json":
        return None
    body = json.loads(reply.body)
    return body if isinstance(body, dict) and "wrap_info" in body else None


def _issued(call: Call, kept: Value, *, wrapped_accessor: str = "", is_jwt: bool = False) -> Reply:
    token, accessor = tokens.new_id(call.cluster.chance, call.cluster.token_version), call.cluster.chance.base62(24)
    _forget_expired(call)
    call.store.put(WRAPPED + token, {**kept, "accessor": accessor}, now_s=call.now_s, utc_s=call.utc_s)
    info: dict[str, object] = {
        "token": _jwt(call, token, kept, wrapped_accessor) if is_jwt else token,
        "accessor": accessor,
        "ttl": int(_seconds(kept["ttl_s"])),
        "creation_time": rfc3339(call.utc_s, nanos=True),
        "creation_path": kept["path"],
    }
    if wrapped_accessor:
        info["wrapped_accessor"] = wrapped_accessor
    return envelope("", wrap_info=info)


def _jwt(call: Call, token: str, kept: Value, wrapped_accessor: str) -> str:
    """As activation tokens are."""
    issued = int(call.utc_s)
    claims = {
        "accessor": wrapped_accessor,
        "addr": call.world.spec.api_addr(call.node.target),
        "exp": issued + int(_seconds(kept["ttl_s"])),
        "iat": issued,
        "jti": token,
        "nbf": issued - 5,
        "type": "wrapping",
    }
    return signing.jwt(call.store, claims)


def _forget_expired(call: Call) -> None:
    for key in call.store.keys(WRAPPED):
        if _living(call, key) is None:
            call.store.delete(key, now_s=call.now_s)


def _living(call: Call, key: str) -> Value | None:
    entry = call.store.get(key)
    if entry is None:
        return None
    ends_utc_s = _seconds(entry.value["created"]) + _seconds(entry.value["ttl_s"])
    return entry.value if call.utc_s < ends_utc_s else None


def _key(call: Call, text: str) -> str:
    """Where a wrapping token's answer is; the token may be inside a JWT. Raises Rejected (403) for a forged one."""
    return WRAPPED + signing.token_in(call.store, text)


def wrap(call: Call) -> Reply:
    """PUT sys/wrapping/wrap [a real OpenBao]: the body comes back, wrapped as the header says."""
    call.authorise()
    if not asked_ttl_s(call):
        return errors(400, "endpoint requires response wrapping to be used")
    return call.logical(dict(call.body()))


def unwrap(call: Call) -> Reply:
    """PUT sys/wrapping/unwrap [OBS obs4 and obs5]: the token in the header, or in the body beside a valid one."""
    text = _named(call)
    key = _key(call, text)
    kept = _living(call, key)
    if kept is None:
        return activation.unwrap(_with_token(call, text))
    call.store.delete(key, now_s=call.now_s)
    warnings = kept["warnings"]
    return envelope(
        call.cluster.chance.uuid(),
        data=kept["data"],
        warnings=warnings if isinstance(warnings, list) else (),
        auth=kept["auth"],
        lease_duration=int(_seconds(kept["lease_duration"])),
        status=int(_seconds(kept["status"])),
    )


def lookup(call: Call) -> Reply:
    """GET or PUT sys/wrapping/lookup [OBS obs4]: asks for no other token, and does not use it up."""
    text = call.text("token") or call.request.token_text
    if not text:
        return errors(403, "error validating wrapping token: token is empty")
    kept = _living(call, _key(call, text))
    if kept is None:
        return activation.lookup(_with_token(call, text))
    created = rfc3339(_seconds(kept["created"]), nanos=True)
    ttl = int(_seconds(kept["ttl_s"]))
    return call.logical({"creation_path": kept["path"], "creation_time": created, "creation_ttl": ttl})


def rewrap(call: Call) -> Reply:
    """PUT sys/wrapping/rewrap [a real OpenBao]: the same answer for as long again, under a new token."""
    own = _key(call, call.request.token_text)
    if _living(call, own) is not None:  # its one use is spent on what it may not do
        call.store.delete(own, now_s=call.now_s)
        return errors(403, _DENIED)
    call.authorise()
    key = _key(call, call.text("token") or call.request.token_text)
    kept = _living(call, key)
    if kept is None:
        return errors(400, NOT_VALID)
    call.store.delete(key, now_s=call.now_s)
    return _issued(call, {**kept, "created": call.utc_s})


def _named(call: Call) -> str:
    """The wrapping token of a request to unwrap. Raises Rejected (403): the body is read for a valid caller only."""
    if "token" not in call.body():
        return call.request.token_text
    given = call.body()["token"]
    if not isinstance(given, str):
        raise Rejected(errors(403, "error validating wrapping token: could not decode token in request body"))
    if not given:
        raise Rejected(errors(403, "error validating wrapping token: empty token in request body"))
    if given != call.request.token_text:
        call.authorise()
    return given


def _with_token(call: Call, text: str) -> Call:
    request = replace(call.request, headers={**call.request.headers, "x-vault-token": text})
    return replace(call, request=request)


def _seconds(value: object) -> float:
    if not isinstance(value, int | float):
        raise TypeError(f"stored {value!r} where a number belongs")
    return float(value)


ROUTES: tuple[Route, ...] = (
    Route("PUT", "sys/wrapping/wrap", wrap, "OBS"),
    Route("PUT", "sys/wrapping/unwrap", unwrap, "ACTINT OBS"),
    Route("GET PUT", "sys/wrapping/lookup", lookup, "OBS SYSPATHS"),
    Route("PUT", "sys/wrapping/rewrap", rewrap, "OBS"),
    *signing.ROUTES,
)
