"""Fields of a body and texts that several routes share. Sources: OBS, and a real OpenBao."""

from __future__ import annotations

from collections.abc import Mapping

from watchdogd.lab.call import Call
from watchdogd.lab.reply import Rejected, Reply, errors

PATH_DISABLED = "path disabled in replication DR secondary mode"
UNSUPPORTED_PATH = "1 error occurred:\n\t* unsupported path\n\n"
_TRUE, _FALSE = ("1", "t", "T", "true", "TRUE", "True"), ("0", "f", "F", "false", "FALSE", "False")


def unsupported_operation() -> Reply:
    """405: the path is there, this verb is not."""
    return errors(405, "1 error occurred:\n\t* unsupported operation\n\n")


def listed(call: Call, prefix: str) -> Reply:
    """The names one level below a prefix of the store; 404 for none."""
    rests = [k.removeprefix(prefix) for k in call.store.keys(prefix)]
    names = {head + slash for rest in rests for head, slash, _ in [rest.partition("/")]}
    return call.logical({"keys": sorted(names)}) if names else errors(404)


def whole(call: Call, name: str, default: int) -> int:
    """A whole number of the body, also as text. Raises Rejected (400)."""
    value = call.body().get(name)
    if value is None:
        return default
    try:
        return int(str(value))
    except ValueError as exc:
        raise Rejected(not_converted(name, "'' cannot parse value as 'int': strconv.ParseInt: invalid syntax")) from exc


def boolean(call: Call, name: str, *, default: bool) -> bool:
    """A boolean of the body, also as text. Raises Rejected (400)."""
    value = call.body().get(name)
    if value is None:
        return default
    text = str(value)
    if text not in (*_TRUE, *_FALSE):
        raise Rejected(not_converted(name, "'' cannot parse value as 'bool': strconv.ParseBool: invalid syntax"))
    return text in _TRUE


def query_number(call: Call, name: str) -> int:
    """A whole number of the query, 0 for none. Raises Rejected (400)."""
    try:
        return int(call.request.query.get(name, "0"))
    except ValueError as exc:
        raise Rejected(not_converted(name, "'' cannot parse value as 'int': strconv.ParseInt: invalid syntax")) from exc


def object_of(body: Mapping[str, object], name: str) -> Mapping[str, object] | None:
    """An object of the body. Raises Rejected (400)."""
    value = body.get(name)
    if value is None or isinstance(value, Mapping):
        return value
    kind = "string" if isinstance(value, str) else "bool" if isinstance(value, bool) else "json.Number"
    where = "[0]" if isinstance(value, list) else ""
    text = f"'{where}' expected type 'map[string]interface {{}}', got unconvertible type '{kind}'"
    raise Rejected(errors(400, f'error converting input for field "{name}": {text}'))


def not_converted(name: str, reason: str) -> Reply:
    """400 for a field of the wrong type."""
    return errors(400, f'Field validation failed: error converting input for field "{name}": {reason}')


def go_duration(seconds: float) -> str:
    """A duration as Go prints it: `0s`, `1m30s`, `3h25m19s`."""
    left = round(seconds)
    hours, minutes, rest = left // 3600, left // 60 % 60, left % 60
    return f"{hours}h{minutes}m{rest}s" if hours else f"{minutes}m{rest}s" if minutes else f"{rest}s"
