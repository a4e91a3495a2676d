"""sys/init: the first keys and the first token of an empty cluster.

Sources: OBS obs1 (texts and order of checks; of a real OpenBao), section 8 of the reference. The nodes of a
world find each other: once one of them is initialised and active the others count as initialised, and join when they
are unsealed, as with `retry_join`. No key and no token is encrypted for PGP here.
"""

from __future__ import annotations

import base64

from watchdogd.lab.call import Call
from watchdogd.lab.reply import Rejected, Reply, bare, errors
from watchdogd.lab.route import LOCAL, Route
from watchdogd.lab.routes_health import seal_type
from watchdogd.lab.seal_keys import SealKeys, why_refused

_SHAMIR = ("secret_shares", "secret_threshold", "pgp_keys")
_AUTO = ("recovery_shares", "recovery_threshold", "recovery_pgp_keys")
_GO = {str: "string", bool: "bool", float: "number", list: "array", dict: "object"}


def init_status(call: Call) -> Reply:
    """GET sys/init [OBS]."""
    return bare(200, {"initialized": call.asked.initialized})


def init(call: Call) -> Reply:
    """PUT sys/init [OBS obs1]: a seal configuration is refused before it is said that there are keys already."""
    is_auto = call.knobs.auto_unseal
    _refuse_what_is_of_another_seal(call, _SHAMIR if is_auto else _AUTO)
    ours = _AUTO if is_auto else _SHAMIR
    shares, threshold = _number(call, ours[0]), _number(call, ours[1])
    what = "recovery" if is_auto else "seal"
    refused = why_refused(shares, threshold)
    if not refused and call.body().get(ours[2]):
        refused = "count mismatch between number of provided PGP keys and number of shares"
    if refused:
        return errors(400, f"invalid {what} configuration: {refused}")
    if call.cluster.keys is not None:
        return errors(400, "Vault is already initialized")
    keys = SealKeys.make(shares=shares, threshold=threshold, chance=call.cluster.chance)
    root = call.cluster.initialise(call.asked, keys, now_s=call.now_s, utc_s=call.utc_s)
    return bare(200, _given_out(keys, is_auto=is_auto) | {"root_token": root.id})


def _given_out(keys: SealKeys, *, is_auto: bool) -> dict[str, object]:
    texts = [share.hex() for share in keys.shares]
    in_base64 = [base64.b64encode(share).decode() for share in keys.shares]
    if not is_auto:
        return {"keys": texts, "keys_base64": in_base64}
    return {"keys": [], "keys_base64": [], "recovery_keys": texts, "recovery_keys_base64": in_base64}


def _refuse_what_is_of_another_seal(call: Call, names: tuple[str, ...]) -> None:
    given = [name for name in names if call.body().get(name)]
    if given:
        text = f"parameters {','.join(given)} not applicable to seal type {seal_type(call)}"
        raise Rejected(errors(400, text))


def _number(call: Call, name: str) -> int:
    value = call.body().get(name)
    if value is None:
        return 0
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    kind = f"{_GO[type(value)]} {value}" if isinstance(value, float) else _GO[type(value)]
    text = f"json: cannot unmarshal {kind} into Go struct field InitRequest.{name} of type int"
    raise Rejected(errors(400, f"failed to parse JSON input: {text}"))


ROUTES: tuple[Route, ...] = (
    Route("GET", "sys/init", init_status, "OBS", LOCAL),
    Route("PUT", "sys/init", init, "OBS", LOCAL),
)
