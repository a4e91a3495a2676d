"""Secondary activation tokens: a JWT around a wrapping token, unwrapped by the secondary at the primary's API.

Sources: GUIDE18, TRACE12, ACTINT, APOC, TFHA, OBS obs4; section 5 of the reference. The signature is made up (132
bytes, as ES512 has): nobody but the primary that issued the token could check it, and it looks at the `jti` alone.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

from watchdogd.lab import tokens
from watchdogd.lab.call import Call
from watchdogd.lab.cluster import Wrapping
from watchdogd.lab.reply import Rejected, Reply, errors
from watchdogd.lab.roles import Kind
from watchdogd.lab.route import Route
from watchdogd.lab.wire import Exchange, Outcome, Place, Wire

NOT_VALID = "wrapping token is not valid or does not exist"
_HEADER = {"alg": "ES512", "typ": "JWT"}
_MODE_BITS = {Kind.DR: 512, Kind.PERFORMANCE: 256}  # REPLCONST


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """What a secondary learns from an activation token: which cluster to follow and under which id."""

    primary: str
    secondary_id: str


def issue(call: Call, secondary_id: str, ttl_s: int) -> tuple[str, str]:
    """A wrapped activation token and its accessor; `addr` is the api_addr of the active node."""
    jti, accessor = tokens.new_id(call.cluster.chance, call.cluster.version), call.cluster.chance.base62(24)
    issued = int(call.utc_s)
    payload = {
        "accessor": "",
        "addr": call.world.spec.api_addr(call.node.target),
        "exp": issued + ttl_s,
        "iat": issued,
        "jti": jti,
        "nbf": issued - 5,
        "type": "wrapping",
    }
    call.cluster.wrappings[jti] = Wrapping(secondary_id, call.utc_s, float(ttl_s), call.request.path)
    parts = (json.dumps(_HEADER, separators=(",", ":")), json.dumps(payload, separators=(",", ":")))
    return ".".join([*(_b64(p.encode()) for p in parts), _b64(call.cluster.chance.octets(132))]), accessor


def issue_encrypted(call: Call, secondary_id: str, public_key: str) -> str:
    """The bundle for one public key: no unwrapping, no call to the primary's API (DRDOC2, ACTINT)."""
    bundle = {"primary": call.cluster.name, "id": secondary_id, "for": public_key, "n": call.cluster.chance.uuid()}
    return base64.b64encode(json.dumps(bundle).encode()).decode()


def unwrap(call: Call) -> Reply:
    """PUT sys/wrapping/unwrap [OBS obs4, ACTINT]: the token in the header, as it is or as the whole JWT; used once."""
    text = call.request.token_text
    if not text:
        return errors(403, "permission denied")
    jti = _jti(text) or text
    found = call.cluster.wrappings.pop(jti, None)
    if found is None or call.utc_s >= found.created_utc_s + found.ttl_s:
        return errors(400, NOT_VALID)
    kind = Kind.PERFORMANCE if "/performance/" in found.creation_path else Kind.DR
    data = {
        "cluster_id": call.cluster.roles[kind].set_id,
        "id": found.secondary_id,
        "mode": _MODE_BITS[kind],
        "primary_cluster_addr": call.world.spec.cluster_addr(call.node.target),
    }
    return call.logical(data)


def lookup(call: Call) -> Reply:
    """PUT sys/wrapping/lookup [OBS obs4]: unauthenticated, does not use the token up."""
    text = call.text("token") or call.request.token_text
    found = call.cluster.wrappings.get(_jti(text) or text)
    if found is None or call.utc_s >= found.created_utc_s + found.ttl_s:
        return errors(400, NOT_VALID)
    return call.logical({"creation_path": found.creation_path, "creation_ttl": int(found.ttl_s)})


def activate(call: Call, token: str, primary_api_addr: str) -> Activation:
    """What update-primary does with a token. Raises Rejected (500) in Vault's words when it cannot be unwrapped."""
    bundle = _bundle(token)
    if bundle is not None:
        if bundle.get("for") not in call.cluster.public_keys:
            raise Rejected(errors(500, call.knobs.wrong_public_key_text))
        return Activation(primary=bundle["primary"], secondary_id=bundle["id"])
    address = primary_api_addr or str(_claims(token).get("addr", ""))
    exchange = _call_out(call, address, token)
    if exchange is None or exchange.outcome is not Outcome.ANSWER:
        host = address.removeprefix("https://")
        text = (
            f'error unwrapping secondary token: Post "{address}/v1/sys/wrapping/unwrap": dial tcp {host}: i/o timeout'
        )
        raise Rejected(errors(500, text))
    if exchange.status != 200:
        text = f'status code is {exchange.status}, message is "{exchange.status} {_REASONS.get(exchange.status, "")}"'
        raise Rejected(errors(500, f"error response unwrapping secondary token; {text}"))
    target = call.world.spec.target_of(address)
    data = json.loads(exchange.body)["data"]
    return Activation(primary=(target[1] if target else "").partition("/")[0], secondary_id=data["id"])


_REASONS = {400: "Bad Request", 403: "Forbidden", 500: "Internal Server Error", 503: "Service Unavailable"}


def _call_out(call: Call, address: str, token: str) -> Exchange | None:
    target = call.world.spec.target_of(address)
    if target is None:
        return None
    wire = Wire(
        place=Place.INTERIOR,
        target=target[1],
        method="PUT",
        path_and_query="/v1/sys/wrapping/unwrap",
        headers={"X-Vault-Token": token},
    )
    return call.world.exchange(wire, now_s=call.now_s)


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _claims(token: str) -> dict[str, str]:
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return {}
    return claims if isinstance(claims, dict) else {}


def _jti(token: str) -> str:
    return str(_claims(token).get("jti", ""))


def _bundle(token: str) -> dict[str, str] | None:
    try:
        bundle = json.loads(base64.b64decode(token, validate=True))
    except ValueError:
        return None
    return bundle if isinstance(bundle, dict) and "primary" in bundle else None


ROUTES: tuple[Route, ...] = (
    Route("PUT", "sys/wrapping/unwrap", unwrap, "ACTINT OBS"),
    Route("PUT", "sys/wrapping/lookup", lookup, "OBS SYSPATHS"),
)
