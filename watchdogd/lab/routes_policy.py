"""Policies: sys/policies/acl/* and the older sys/policy/*.

Sources: OBS obs3, ENOS-TOK; section 8 of the reference.
"""

from __future__ import annotations

from watchdogd.lab import policies, tokens
from watchdogd.lab.call import Call
from watchdogd.lab.reply import Reply, empty, errors
from watchdogd.lab.route import Route


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


ROUTES: tuple[Route, ...] = (
    Route("LIST", "sys/policies/acl", list_policies, "OBS"),
    Route("PUT", "sys/policies/acl/<name>", write_policy, "OBS ENOS-TOK"),
    Route("GET", "sys/policies/acl/<name>", read_policy, "OBS"),
    Route("DELETE", "sys/policies/acl/<name>", delete_policy, "OBS"),
    Route("PUT", "sys/policy/<name>", write_policy, "TC OBS"),
)
