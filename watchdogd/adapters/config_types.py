"""The values of the config file: durations, addresses, names, ids; each refuses with what would be right."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Literal, NoReturn
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, PlainValidator, Tag, WithJsonSchema
from pydantic_core import PydanticCustomError

from watchdogd.secret import without_secrets

# As Prometheus writes them. Source: prometheus.io/docs/prometheus/latest/configuration/configuration, <duration>.
# Bounded digits: nobody means more, and an endless number must not become infinite.
_UNITS_S = {"y": 365 * 86400.0, "w": 7 * 86400.0, "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION = re.compile("".join(rf"(?:(?P<{unit}>[0-9]{{1,9}}){unit}(?![a-z]))?" for unit in _UNITS_S))
DURATION_PATTERN = "^(0|" + "".join(f"([0-9]{{1,9}}{unit})?" for unit in _UNITS_S) + ")$"

NAME_PATTERN = r"^[a-z][a-z0-9-]{0,31}$"
UUID_PATTERN = r"^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
PLACE_PATTERN = r"^(own|neutral|near:[a-z][a-z0-9-]{0,31})$"
CREDENTIAL_PATTERN = r"^[A-Za-z0-9_.-]{1,255}$"
GROUP_PATTERN = r"^[a-z_][a-z0-9_-]{0,31}$"
ZONE_PATTERN = r"^[A-Z0-9]{4,32}$"
HOST_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,253}$"
PATH_PATTERN = r"^/[^\x00-\x1f]*$"
DNS_NAME_PATTERN = r"^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)+[A-Za-z0-9-]{1,63}\.?$"
WAY_OUT_OF_PATTERN = {
    NAME_PATTERN: "a lower-case name of letters, digits and dashes, at most 32 characters",
    UUID_PATTERN: "an id like d2fbb13b-0830-70a3-4751-57b6b6d95d01, as Vault shows it",
    PLACE_PATTERN: '"own", "neutral" or "near:CLUSTER"',
    CREDENTIAL_PATTERN: "the name of a credential, without a path",
    GROUP_PATTERN: "the name of a group",
    ZONE_PATTERN: "the id of a hosted zone, like Z0123456789ABCDEFGHIJ",
    HOST_PATTERN: "a host name",
    PATH_PATTERN: "an absolute path",
    DNS_NAME_PATTERN: "a domain name like vault.example.com",
}


def refuse(wrong: str, way_out: str) -> NoReturn:
    """Raise what pydantic collects: what is wrong, and what would be right."""
    raise PydanticCustomError("watchdogd", "{wrong}: {way_out}", {"wrong": wrong, "way_out": way_out})


def parse_duration(value: object) -> object:
    """Seconds of a text like "50s", "1m30s" or "800ms"; "0" is none. Raises through `refuse`."""
    if not isinstance(value, str):
        refuse(f"{_shown(value)} has no unit", 'a text like "3s", "800ms" or "1m30s"')
    if value == "0":
        return 0.0
    match = _DURATION.fullmatch(value)
    if match is None or not value:
        refuse(f"{_shown(value)} is not a duration", 'a text like "3s", "800ms" or "1m30s"')
    parts = match.groupdict()
    return sum(int(parts[unit]) * seconds for unit, seconds in _UNITS_S.items() if parts[unit] is not None)


def _more_than_none(seconds: float) -> float:
    if seconds <= 0:
        refuse("no time at all", "more than 0")
    return seconds


def _whole(seconds: float) -> float:
    if seconds < 1 or seconds != int(seconds):
        refuse(f"{seconds:g} s", 'whole seconds, at least "1s"')
    return seconds


def _node_url(value: str) -> str:
    """https://HOST:PORT and nothing else, so that two spellings of one node cannot count twice."""
    right = "https://HOST:PORT, nothing before or after it"
    if "@" in value:
        refuse("a user in the address", right)  # not shown: there may be a password
    try:
        url = urlsplit(value)
        host, port = url.hostname, url.port
    except ValueError:
        refuse(f"{_shown(value)} is no address", right)
    if url.scheme != "https":
        refuse(f"{_shown(value)} is not https", right)
    if not host or not port or not _is_host(url.netloc.rpartition(":")[0]):
        refuse(f"{_shown(value)} is no address", right)
    if value != f"https://{url.netloc}":
        refuse(f"{_shown(value)} has a path", right)
    return value.lower()


def _host_port(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not _is_host(host) or not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        refuse(f"{_shown(value)} is no HOST:PORT", 'like "127.0.0.1:9756" or "[::1]:53"')
    return value


def _is_host(text: str) -> bool:
    """True for a name, an IPv4 address, or an IPv6 address in brackets."""
    if not text.startswith("["):
        labels = text.removesuffix(".").split(".")
        return bool(re.fullmatch(HOST_PATTERN.strip("^$"), text)) and all(0 < len(label) <= 63 for label in labels)
    try:
        ipaddress.IPv6Address(text.strip("[]"))
    except ValueError:
        return False
    return text.endswith("]")


def split_host_port(value: str) -> tuple[str, int]:
    """Host without brackets, and port, of a text that `HostPort` accepted."""
    host, _, port = value.rpartition(":")
    return host.strip("[]"), int(port)


def _server(value: str) -> str:
    """A name server: HOST, or HOST:PORT where it is not 53."""
    has_port = re.search(r":[0-9]+$", value) and (value.count(":") == 1 or value.startswith("["))
    return _host_port(value if has_port else f"[{value}]:53" if ":" in value else f"{value}:53")


def _http_url(value: str) -> str:
    if "@" in value:
        refuse("a user in the address", "scheme, host and port")  # not shown: there may be a password
    try:
        url = urlsplit(value)
        is_right = url.scheme in ("http", "https") and bool(url.hostname) and (url.port is None or url.port > 0)
    except ValueError:
        is_right = False
    if not is_right:
        refuse(f"{_shown(value)} is no URL", 'like "https://route53.amazonaws.com"')
    return value


def _nodes_needed(value: object) -> int | Literal["quorum"]:
    if value == "quorum":
        return "quorum"
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 99:
        return value
    refuse(f"{_shown(value)} is no number of nodes", '"quorum", or a whole number from 1')


def _shown(value: object) -> str:
    text = without_secrets(f'"{value}"' if isinstance(value, str) else repr(value))  # before a part of it is cut off
    return text if len(text) <= 60 else text[:57] + "..."


def one_of(key_by_kind: dict[str, str], way_out: str) -> Discriminator:
    """Choose the kind of an inline table by the key that only that kind has; two of them, or none, is refused."""

    def kind_of(value: Any) -> str | None:
        if not isinstance(value, dict):
            return None
        kinds = {kind for key, kind in key_by_kind.items() if key in value}
        return kinds.pop() if len(kinds) == 1 else None

    return Discriminator(
        kind_of,
        custom_error_type="watchdogd",
        custom_error_message=f"neither one kind nor the other: {way_out}",
    )


def by_word(key: str, words: tuple[str, ...], not_yet: tuple[str, ...] = ()) -> Discriminator:
    """Choose the kind of a table by the word in `key`."""

    def kind_of(value: Any) -> str | None:
        word = value.get(key) if isinstance(value, dict) else None
        return f"={word}" if isinstance(word, str) and word in words else None

    later = f" ({', '.join(not_yet)} is not there yet)" if not_yet else ""
    choices = " or ".join(f'"{word}"' for word in words)
    return Discriminator(
        kind_of,
        custom_error_type="watchdogd",
        custom_error_message=f"{key} is missing or no word known here: {choices}{later}",
    )


def tag(kind: str) -> Tag:
    """The tag of one kind. Begins with "=", which no key does: it is cut out of the paths in messages."""
    return Tag(f"={kind}")


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema(
        {"type": "string", "minLength": 1, "pattern": DURATION_PATTERN, "examples": ["50s", "1m30s", "800ms"]}
    ),
]
PositiveDuration = Annotated[Duration, AfterValidator(_more_than_none)]
WholeSeconds = Annotated[Duration, AfterValidator(_whole)]
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Uuid = Annotated[str, Field(pattern=UUID_PATTERN)]
AbsolutePath = Annotated[str, Field(pattern=PATH_PATTERN)]
DnsName = Annotated[str, Field(pattern=DNS_NAME_PATTERN, max_length=254)]
HostName = Annotated[str, Field(pattern=HOST_PATTERN)]
Text = Annotated[str, Field(min_length=1, max_length=500)]
NodeUrl = Annotated[str, AfterValidator(_node_url)]
HostPort = Annotated[str, AfterValidator(_host_port)]
Server = Annotated[str, AfterValidator(_server)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
Command = Annotated[list[Text], Field(min_length=1)]
NodesNeeded = Annotated[
    int | Literal["quorum"],
    PlainValidator(_nodes_needed),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": 99}, {"const": "quorum"}]}),
]
