"""sys/quotas: how many requests a client may send, to all of a node or to one mount; what is more is answered 429.

Sources: QUOTA (which paths are exempt by default), OBS (a real OpenBao asked the same). Every node counts for itself,
by the place of the client, in windows that begin with their first request. UNCONFIRMED: a DR secondary limits
nobody (a knob).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import ceil, inf

from watchdogd.lab.call import Call, duration_s
from watchdogd.lab.cluster import QuotaWindow
from watchdogd.lab.fields import boolean, not_converted
from watchdogd.lab.mounts import LOGINS, SECRETS
from watchdogd.lab.reply import Rejected, Reply, empty, errors
from watchdogd.lab.route import Route
from watchdogd.lab.routes_health import is_sealed

QUOTAS, CONFIG = "sys/quotas/rate-limit", "sys/quotas/config"
EXEMPT = (
    "sys/generate-recovery-token/attempt",
    "sys/generate-recovery-token/update",
    "sys/generate-root/attempt",
    "sys/generate-root/update",
    "sys/health",
    "sys/seal-status",
    "sys/unseal",
)
_ALWAYS_THERE = ("", "sys/", "cubbyhole/", "identity/", "auth/token/")
_FLAGS = ("enable_rate_limit_audit_logging", "enable_rate_limit_response_headers")


def within(call: Call, answer: Callable[[Call], Reply]) -> Reply:
    """The answer, or 429 where the client has sent too many."""
    rule = _rule_over(call)
    if rule is None:
        return answer(call)
    limit, interval_s, block_s = (_number(rule, name) for name in ("rate", "interval", "block_interval"))
    key = f"{call.asked.target}/{call.request.place}/{rule['name']}"
    window = call.cluster.quota_windows.setdefault(key, QuotaWindow())
    if call.now_s >= window.ends_s:
        window.ends_s, window.sent = call.now_s + interval_s, 0
    refused = window.sent >= limit or call.now_s < window.blocked_until_s
    if refused and block_s and call.now_s >= window.blocked_until_s:
        window.blocked_until_s = call.now_s + block_s
    if not refused:
        window.sent += 1
    until_s = ceil(max(window.ends_s, window.blocked_until_s) - call.now_s)
    text = f'request path "{call.request.path}": rate limit quota exceeded'
    reply = errors(429, text) if refused else answer(call)
    if not _config(call)["enable_rate_limit_response_headers"]:
        return reply
    told = {"Limit": int(limit), "Remaining": max(0, int(limit) - window.sent), "Reset": until_s}
    headers = {f"X-Ratelimit-{name}": str(value) for name, value in told.items()}
    return replace(reply, headers={**reply.headers, **headers, **({"Retry-After": str(until_s)} if refused else {})})


def _rule_over(call: Call) -> Mapping[str, object] | None:
    """The rule of the longest path; none where nobody made one, and on paths that are exempt."""
    entry = call.store.get(QUOTAS)
    is_asked = call.knobs.dr_secondary_limits or not call.cluster.is_dr_secondary
    if entry is None or not entry.value or is_sealed(call) or not is_asked:
        return None
    if call.request.path in _list_of(_config(call)["rate_limit_exempt_paths"]):
        return None
    over = [rule for rule in _rules(call).values() if f"{call.request.path}/".startswith(str(rule["path"]))]
    return max(over, key=lambda rule: len(str(rule["path"])), default=None)


def _rules(call: Call) -> dict[str, Mapping[str, object]]:
    entry = call.store.get(QUOTAS)
    kept = {} if entry is None else entry.value
    return {name: rule for name, rule in kept.items() if isinstance(rule, Mapping)}


def _config(call: Call) -> Mapping[str, object]:
    entry = call.store.get(CONFIG)
    return dict.fromkeys(_FLAGS, False) | {"rate_limit_exempt_paths": list(EXEMPT)} if entry is None else entry.value


def write_quota(call: Call) -> Reply:
    """POST sys/quotas/rate-limit/NAME [OBS]."""
    call.authorise()
    name, rules = call.params["name"], _rules(call)
    rate = _rate(call)
    interval_s, block_s = _span(call, "interval") or 1, _span(call, "block_interval")
    if not 0 < rate < inf:
        return errors(400, "'rate' is invalid")
    path = _path(call)
    twin = next((known for known, rule in rules.items() if rule["path"] == path and known != name), None)
    if twin is not None:
        return errors(400, f'quota rule with similar properties exists under the name "{twin}"')
    rule = {
        "block_interval": block_s,
        "inheritable": boolean(call, "inheritable", default=not path),
        "interval": interval_s,
        "name": name,
        "path": path,
        "rate": int(rate) if rate == int(rate) else rate,
        "role": call.text("role"),
        "type": "rate-limit",
    }
    call.write(QUOTAS, {**rules, name: rule})
    call.cluster.quota_windows.clear()
    return empty()


def read_quota(call: Call) -> Reply:
    """GET sys/quotas/rate-limit/NAME [OBS]."""
    call.authorise()
    rule = _rules(call).get(call.params["name"])
    return errors(404) if rule is None else call.logical(dict(rule))


def delete_quota(call: Call) -> Reply:
    """DELETE sys/quotas/rate-limit/NAME [OBS]: 204 also for one that is not there."""
    call.authorise()
    rules = _rules(call)
    if rules.pop(call.params["name"], None) is not None:
        call.write(QUOTAS, rules)
        call.cluster.quota_windows.clear()
    return empty()


def list_quotas(call: Call) -> Reply:
    """LIST sys/quotas/rate-limit [OBS]."""
    call.authorise()
    names = sorted(_rules(call))
    return call.logical({"keys": names}) if names else errors(404)


def read_config(call: Call) -> Reply:
    """GET sys/quotas/config [OBS]."""
    call.authorise()
    return call.logical(dict(sorted(_config(call).items())))


def write_config(call: Call) -> Reply:
    """POST sys/quotas/config [OBS]: what is not given is off, and no path exempt."""
    call.authorise()
    flags = {name: boolean(call, name, default=False) for name in _FLAGS}
    call.write(CONFIG, {**flags, "rate_limit_exempt_paths": list(call.names("rate_limit_exempt_paths"))})
    return empty()


def _path(call: Call) -> str:
    given = call.text("path")
    path = f"{given}/" if given and not given.endswith("/") else given
    mounts = [*SECRETS.all(call.store), *LOGINS.all(call.store)]
    known = {*_ALWAYS_THERE, *(m.path for m in mounts), *(f"auth/{m.path}" for m in mounts)}
    if path not in known:
        raise Rejected(errors(400, f'invalid mount path "{given}"'))
    return path


def _rate(call: Call) -> float:
    try:
        return float(call.text("rate", "0"))
    except ValueError as exc:
        text = "'' cannot parse value as 'float64': strconv.ParseFloat: invalid syntax"
        raise Rejected(not_converted("rate", text)) from exc


def _span(call: Call, name: str) -> int:
    given = call.text(name, "0")
    try:
        return int(duration_s(given))
    except Rejected as exc:
        raise Rejected(not_converted(name, f'time: invalid duration "{given}"')) from exc


def _number(rule: Mapping[str, object], name: str) -> float:
    return float(str(rule[name]))


def _list_of(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, list) else []


ROUTES: tuple[Route, ...] = (
    Route("GET", CONFIG, read_config, "QUOTA OBS"),
    Route("PUT", CONFIG, write_config, "QUOTA OBS"),
    Route("LIST", QUOTAS, list_quotas, "OBS"),
    Route("PUT", f"{QUOTAS}/<name>", write_quota, "OBS"),
    Route("GET", f"{QUOTAS}/<name>", read_quota, "OBS"),
    Route("DELETE", f"{QUOTAS}/<name>", delete_quota, "OBS"),
)
