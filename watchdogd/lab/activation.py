"""Secondary activation tokens: a JWT around a wrapping token, unwrapped by the secondary at the primary's API.

Sources: GUIDE18, TRACE12, ACTINT, APOC, TFHA, OBS obs4; section 5 of the reference. The secondary reads the address out
of the JWT and checks nothing; the primary that signed it checks its own signature.
"""

from __future__ import annotations

import base64
import json
import posixpath
from http import HTTPStatus

from watchdogd.lab import bundle, signing, tokens
from watchdogd.lab.call import Call, rfc3339
from watchdogd.lab.cluster import Cluster, Wrapping
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.reply import Rejected, Reply, errors
from watchdogd.lab.roles import Kind, Upstream
from watchdogd.lab.sealed_box import KEY_BYTES, public_key_of
from watchdogd.lab.wire import Exchange, Outcome, Place, Wire

NOT_VALID = "wrapping token is not valid or does not exist"


def issue(call: Call, kind: Kind, secondary_id: str, ttl_s: int) -> tuple[str, str]:
    """A wrapped activation token and its accessor; `addr` is the api_addr of the active node."""
    jti, accessor = tokens.new_id(call.cluster.chance, call.cluster.token_version), call.cluster.chance.base62(24)
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
    data = _bundle_of(call, kind, secondary_id)
    call.cluster.wrappings[jti] = Wrapping(data, call.now_s, call.utc_s, float(ttl_s), call.request.path)
    return signing.jwt(call.store, payload), accessor


def issue_encrypted(call: Call, kind: Kind, secondary_id: str, public_key: str) -> str:
    """The bundle for one public key: no unwrapping, no call to the primary's API (DRDOC2, ACTINT)."""
    key = bundle.public_key(public_key)
    if key is None:
        raise Rejected(errors(400, call.knobs.invalid_public_key_text))
    return bundle.encrypted(_bundle_of(call, kind, secondary_id), key, call.cluster.chance)


def make_public_key(call: Call) -> str:
    """A new key pair of this cluster; its secret half stays here."""
    secret = call.cluster.chance.octets(KEY_BYTES)
    text = base64.b64encode(public_key_of(secret)).decode()
    call.cluster.public_keys[text] = secret
    return text


def unwrap(call: Call) -> Reply:
    """PUT sys/wrapping/unwrap [OBS obs4, ACTINT]: the token in the header, as it is or as the whole JWT; used once."""
    text = call.request.token_text
    if not text:
        return errors(403, "permission denied")
    found = call.cluster.wrappings.pop(signing.token_in(call.store, text), None)
    if found is None or call.utc_s >= found.created_utc_s + found.ttl_s:
        return errors(400, NOT_VALID)
    return call.logical(found.data)


def lookup(call: Call) -> Reply:
    """PUT sys/wrapping/lookup [OBS obs4]: unauthenticated, does not use the token up."""
    text = call.text("token") or call.request.token_text
    found = call.cluster.wrappings.get(signing.token_in(call.store, text))
    if found is None or call.utc_s >= found.created_utc_s + found.ttl_s:
        return errors(400, NOT_VALID)
    created = rfc3339(found.created_utc_s, nanos=True)
    told = {"creation_path": found.creation_path, "creation_time": created, "creation_ttl": int(found.ttl_s)}
    return call.logical(told)


def activate(call: Call, kind: Kind, token: str, primary_api_addr: str) -> Upstream:
    """What secondary/enable and update-primary do with a token. Raises Rejected in Vault's words when it is no use.

    The primary's cluster port is asked later, when the answer has been given: an id that was revoked meanwhile, or an
    address that leads nowhere, shows as a link that never comes up (knobs, both).
    """
    closed = bundle.of_token(token)
    if closed is None:
        found = bundle.read(_unwrapped(call, kind, token, primary_api_addr))
    elif any(bundle.opens(closed, secret) for secret in call.cluster.public_keys.values()):
        found = bundle.read(closed)
    else:
        raise _refused(kind, call.knobs.wrong_public_key_text)
    issuer = next((c for c in call.world.clusters.values() if found and found.certificate in c.certificates), None)
    if found is None or issuer is None:
        raise _refused(kind, call.knobs.no_bundle_text)
    if found.kind is not kind:
        raise Rejected(errors(400, call.knobs.wrong_kind_text))
    refuse_newer(call, issuer)
    fails = call.world.network.fault_on(FaultKind.ACTIVATION_FAILS, call.node.target)
    is_silent = call.knobs.bootstraps_before_it_answers and not answers(call, found.cluster_addr)
    if is_silent or (fails is not None and call.world.faults.use(fails)):
        raise _refused(kind, call.knobs.bootstrap_text)
    if call.knobs.refuses_revoked_id and found.secondary_id not in issuer.roles[kind].known_secondaries:
        raise _refused(kind, call.knobs.revoked_id_text)
    return Upstream(
        primary=issuer.name, secondary_id=found.secondary_id, set_id=found.set_id, cluster_addr=found.cluster_addr
    )


def refuse_newer(call: Call, primary: Cluster) -> None:
    """No cluster follows a newer one (DRTUT: 1.11 a promoted 1.15); how it refuses is in no source. Raises Rejected."""
    if primary.version[:2] > call.cluster.version[:2] and not call.knobs.follows_newer_primary:
        raise Rejected(errors(call.knobs.newer_primary_status, call.knobs.newer_primary_text))


def _unwrapped(call: Call, kind: Kind, token: str, primary_api_addr: str) -> object:
    address = primary_api_addr or str((signing.claims_in(token) or {}).get("addr", ""))
    is_trusting = _trusts_who_answers(call)
    if not address:
        raise _refused(kind, call.knobs.no_bundle_text)
    exchange = _call_out(call, address, token, is_trusting=is_trusting)
    if exchange is not None and exchange.outcome is Outcome.UNTRUSTED:
        why = _X509.get(exchange.body.decode(), "certificate signed by unknown authority")
        url = f"{address}/v1/sys/wrapping/unwrap"
        raise _refused(kind, f'error unwrapping secondary token: Post "{url}": x509: {why}')
    if exchange is None or exchange.outcome is not Outcome.ANSWER:
        host = address.removeprefix("https://")
        url = f"{address}/v1/sys/wrapping/unwrap"
        raise _refused(kind, f'error unwrapping secondary token: Post "{url}": dial tcp {host}: i/o timeout')
    if exchange.status != 200:
        text = f'status code is {exchange.status}, message is "{exchange.status} {_reason(exchange.status)}"'
        raise _refused(kind, f"error response unwrapping secondary token; {text}")
    try:
        answer = json.loads(exchange.body)
    except (ValueError, RecursionError):
        return None
    return answer.get("data") if isinstance(answer, dict) else None


def answers(call: Call, address: str) -> bool:
    """Whether a node that is unsealed listens at this cluster address, as seen from here."""
    found = call.world.spec.target_of(address)
    if found is None:
        return False
    name, _, host = found[1].partition("/")
    cluster = call.world.clusters[name]
    node = cluster.serving() if host == "lb" else cluster.node(int(host))
    if node is None or not node.can_vote:
        return False
    return call.world.network.replication_break(call.cluster.name, name, [call.node.target, node.target]) is None


def _trusts_who_answers(call: Call) -> bool:
    """Whether the authority of the API is at hand: `ca_file`, else `ca_path`, else the system's roots. Raises Rejected.

    Paths on the node that carries out the request (DRDOC2). Of both the file counts, and what cannot be read is refused
    before anybody is called (hashicorp/go-rootcerts, in whose words; that Vault asks it here is an inference).
    """
    path = call.text("ca_file") or call.text("ca_path")
    if not path:
        return call.knobs.system_roots_hold_ca
    files = call.world.ca_files
    there = files if call.text("ca_file") else {posixpath.dirname(file) for file in files}
    if posixpath.normpath(path) not in there:
        raise Rejected(errors(call.knobs.ca_file_status, call.knobs.ca_file_text.replace("%s", path)))
    return True


def _refused(kind: Kind, text: str) -> Rejected:
    """500: bare for DR [APOC], as a list of one for performance [TFHA]."""
    return Rejected(errors(500, f"1 error occurred:\n\t* {text}\n\n" if kind is Kind.PERFORMANCE else text))


def _bundle_of(call: Call, kind: Kind, secondary_id: str) -> dict[str, object]:
    """A bundle with the address that the primary was given for its secondaries, else its active node's."""
    address = call.cluster.roles[kind].primary_cluster_addr or call.world.spec.cluster_addr(call.node.target)
    return bundle.make(call.cluster, kind, secondary_id, address)


_X509 = {
    "expired": "certificate has expired or is not yet valid",
    "wrong-name": "certificate is valid for somebody-else.example.test",
}


def _reason(status: int) -> str:
    """What stands behind a status in its line, as Go's server writes it."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"status code {status}"


def _call_out(call: Call, address: str, token: str, *, is_trusting: bool) -> Exchange | None:
    target = call.world.spec.target_of(address)
    if target is None:
        return None
    wire = Wire(
        place=Place.INTERIOR,
        target=target[1],
        method="PUT",
        path_and_query="/v1/sys/wrapping/unwrap",
        headers={"X-Vault-Token": token},
        is_trusting=is_trusting,
    )
    return call.world.exchange(wire, now_s=call.now_s)
