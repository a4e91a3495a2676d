"""Policies: sys/policies/acl/* and the older sys/policy/*, which calls their text `rules`.

Sources: OBS obs3 (and OpenBao asked the same), ENOS-TOK; section 8 of the reference.
"""

from __future__ import annotations

import base64
import binascii

from watchdogd.lab import policies, tokens
from watchdogd.lab.call import Call
from watchdogd.lab.default_policy import DEFAULT_TEXT, RESPONSE_WRAPPING_TEXT
from watchdogd.lab.reply import Reply, empty, envelope, errors
from watchdogd.lab.route import Route

_BUILT_IN = {"default": DEFAULT_TEXT, "response-wrapping": RESPONSE_WRAPPING_TEXT, policies.ROOT: ""}
_FIXED = frozenset({policies.ROOT, "response-wrapping", "control-group"})
DEPRECATED = "'rules' is deprecated, please use 'policy' instead"


def write_policy(call: Call) -> Reply:
    """PUT sys/policies/acl/:name and sys/policy/:name [OBS obs3]; its text may be base64."""
    call.authorise()
    name, is_former = call.params["name"].lower(), _is_former(call)
    text = call.text("policy") or (call.text("rules") if is_former else "")
    if not text:
        return errors(400, "'policy' parameter not supplied or empty")
    if name in _FIXED:
        return errors(400, f'cannot update "{name}" policy')
    text = _decoded(text)
    try:
        policies.parse(text)
    except policies.PolicyTextError as exc:
        return errors(400, f"failed to parse policy: {exc}")
    call.write(tokens.POLICIES + name, {"policy": text})
    return empty() if call.text("policy") else call.logical(warnings=[DEPRECATED])


def read_policy(call: Call) -> Reply:
    """GET sys/policies/acl/:name and sys/policy/:name [OBS obs3]; missing: 404 with no error text."""
    call.authorise()
    name = call.params["name"].lower()
    entry = call.store.get(tokens.POLICIES + name)
    text = _BUILT_IN.get(name) if entry is None else entry.value["policy"]
    if text is None:
        return errors(404)
    if not _is_former(call):
        return call.logical({"name": name, "policy": text})
    data = {"name": name, "rules": text}
    return envelope(call.cluster.chance.uuid(), data=data, top=data)


def delete_policy(call: Call) -> Reply:
    """DELETE sys/policies/acl/:name and sys/policy/:name [OBS obs3]."""
    call.authorise()
    name = call.params["name"].lower()
    if name in _FIXED:
        return errors(400, f'cannot delete "{name}" policy')
    if name == "default":
        return errors(400, "cannot delete default policy")
    call.store.delete(tokens.POLICIES + name, now_s=call.now_s)
    return empty()


def list_policies(call: Call) -> Reply:
    """LIST sys/policies/acl; LIST and GET sys/policy, which repeats them under `policies` [OBS obs3]."""
    call.authorise(wanted=frozenset({"list", "read"}) if _is_former(call) else None)
    names = {key.removeprefix(tokens.POLICIES) for key in call.store.keys(tokens.POLICIES)} | {"default"}
    keys = [*sorted(names - {policies.ROOT}), policies.ROOT]
    if not _is_former(call):
        return call.logical({"keys": keys})
    data = {"keys": keys, "policies": keys}
    return envelope(call.cluster.chance.uuid(), data=data, top=data)


def _is_former(call: Call) -> bool:
    return call.request.path.split("/")[1] == "policy"


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        return text


ROUTES: tuple[Route, ...] = (
    Route("LIST", "sys/policies/acl", list_policies, "OBS"),
    Route("PUT", "sys/policies/acl/<name>", write_policy, "OBS ENOS-TOK"),
    Route("GET", "sys/policies/acl/<name>", read_policy, "OBS"),
    Route("DELETE", "sys/policies/acl/<name>", delete_policy, "OBS"),
    Route("GET LIST", "sys/policy", list_policies, "TC OBS"),
    Route("PUT", "sys/policy/<name>", write_policy, "TC OBS"),
    Route("GET", "sys/policy/<name>", read_policy, "TC OBS"),
    Route("DELETE", "sys/policy/<name>", delete_policy, "TC OBS"),
)
