"""One request on its way through a node: what was asked, of whom, and with which token."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote

from watchdogd.lab import tokens
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.go_values import GO_MAX_S, go_seconds
from watchdogd.lab.reply import Rejected, Reply, envelope, errors
from watchdogd.lab.wire import Wire

if TYPE_CHECKING:
    from watchdogd.lab.cluster import Cluster
    from watchdogd.lab.knobs import Knobs
    from watchdogd.lab.node import Node
    from watchdogd.lab.policies import Rule
    from watchdogd.lab.store import Entry, Store, Value
    from watchdogd.lab.world import World

_CAPABILITIES: Mapping[str, frozenset[str]] = {
    "GET": frozenset({"read"}),
    "LIST": frozenset({"list"}),
    "PUT": frozenset({"update", "create"}),
    "DELETE": frozenset({"delete"}),
}
_ABSOLUTE = re.compile(r"https?://[^/?#]*", re.IGNORECASE)  # a proxy's form of the request line
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A parsed request. `path` is without `/v1/`; POST reads PUT, GET with `list=true` reads LIST (APIDOC)."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]  # names in lower case
    body: bytes
    place: str

    @classmethod
    def of(cls, wire: Wire) -> Request:
        """Parse what came over the wire. A path outside `/v1/` is kept with its slash."""
        path, query = _parsed(wire.path_and_query)
        method = "PUT" if wire.method == "POST" else wire.method.upper()
        if method == "GET" and query.get("list") == "true":
            method = "LIST"
        return cls(
            method=method,
            path=path,
            query=query,
            headers={k.lower(): v for k, v in wire.headers.items()},
            body=wire.body,
            place=wire.place,
        )

    @property
    def token_text(self) -> str:
        """`X-Vault-Token`, or the bearer."""
        bearer = self.headers.get("authorization", "")
        return self.headers.get("x-vault-token") or (bearer[7:] if bearer.startswith("Bearer ") else "")


@lru_cache(maxsize=1024)
def _parsed(path_and_query: str) -> tuple[str, Mapping[str, str]]:
    target = _ABSOLUTE.sub("", path_and_query).partition("#")[0].encode(errors="replace").decode()
    path, _, text = target.partition("?")
    query = {k: v[-1] for k, v in parse_qs(text, keep_blank_values=True).items()} if text else {}
    path = unquote(path)
    return (path.removeprefix("/v1/").strip("/") if path.startswith("/v1/") else path), MappingProxyType(query)


@dataclass(slots=True, kw_only=True)
class Call:
    """A request at the node that answers it; `asked` is the one that it was sent to."""

    world: World
    cluster: Cluster
    node: Node
    asked: Node
    request: Request
    now_s: float
    params: Mapping[str, str] = field(default_factory=dict)
    token: tokens.Token | None = None
    written: tuple[str, Entry] | None = None
    writer: Cluster | None = None  # the cluster that wrote, where it is not the one that was asked
    _fields: Mapping[str, object] | None = None

    @property
    def knobs(self) -> Knobs:
        return self.cluster.knobs

    @property
    def store(self) -> Store:
        return self.cluster.store

    @property
    def utc_s(self) -> float:
        """The wall clock of the answering node."""
        return self.world.utc_s(self.node.target, self.now_s)

    def body(self) -> Mapping[str, object]:
        """The fields in the body, empty for none. Raises Rejected (400) as Vault does (HANDLER17)."""
        if self._fields is None:
            self._fields = _fields(self.request)
        return self._fields

    def text(self, name: str, default: str = "") -> str:
        """A text field of the body."""
        value = self.body().get(name)
        return value if isinstance(value, str) else default if value is None else str(value)

    def flag(self, name: str) -> bool:
        """A boolean field of the body; the CLI sends it as text."""
        return self.body().get(name) in (True, "true", "1", 1)

    def logical(
        self, data: object = None, *, warnings: Iterable[str] = (), auth: object = None, lease_duration: int = 0
    ) -> Reply:
        """200 with the envelope."""
        return envelope(
            self.cluster.chance.uuid(),
            data=data,
            warnings=warnings,
            auth=auth,
            lease_duration=lease_duration,
            mount_type="system" if self.knobs.mount_type_in_envelope else None,
        )

    def write(self, key: str, value: Value) -> Entry:
        """Write to the cluster's store."""
        entry = self.store.put(key, value, now_s=self.now_s, utc_s=self.utc_s)
        self.written = (key, entry)
        return entry

    # ------------------------------------------------------------------ tokens

    def find_token(self, text: str) -> tokens.Token | None:
        """The living token behind a text; None for unknown, expired or orphaned ones."""
        token = tokens.find(self.store, text) if text else None
        if token is None or not tokens.is_alive(self.store, token, self.utc_s):
            return None
        is_batch = token.type is tokens.TokenType.BATCH
        if is_batch and self.world.network.holds(FaultKind.TOKEN_EXPIRED, self.node.target):
            return None
        if is_batch and self.knobs.rotation_ends_batch_tokens and tokens.term_of(text) < tokens.newest_term(self.store):
            return None
        return token

    def authenticate(self) -> tokens.Token:
        """The caller's token. Raises Rejected (403): no token, or none that is valid."""
        if self.token is None:
            found = self.find_token(self.request.token_text)
            if found is None:
                raise Rejected(self.permission_denied(invalid=bool(self.request.token_text)))
            self.token = tokens.use(self.store, found, now_s=self.now_s, utc_s=self.utc_s)
        return self.token

    def seconds(self, name: str) -> float:
        """A duration of the body, 0 for none. Raises Rejected (400)."""
        return duration_s(self.text(name))

    def names(self, *alternatives: str) -> tuple[str, ...]:
        """A list of names in the body, under the first of these fields that is there; text is split at commas."""
        return names_in(next((v for name in alternatives if (v := self.body().get(name)) is not None), None))

    def authorise(self, *, sudo: bool = False, path: str | None = None, wanted: frozenset[str] | None = None) -> None:
        """Token and policy. Raises Rejected (403): OBS obs3:perm denied, TOKDOC."""
        token = self.authenticate()
        wanted = wanted or _CAPABILITIES.get(self.request.method, frozenset({"update"}))
        rule = None if token.is_root else tokens.rule_of(self.store, token, path or self.request.path)
        has = rule.effective if rule is not None else frozenset()
        is_able = bool(has & wanted) and (not sudo or "sudo" in has)
        if token.is_root or (rule is not None and is_able and self._is_let_by(rule)):
            return
        raise Rejected(errors(403, "1 error occurred:\n\t* permission denied\n\n"))

    def _is_let_by(self, rule: Rule) -> bool:
        """Whether what the request carries is within its rule."""
        if not rule.lets_wrap(go_seconds(self.request.headers.get("x-vault-wrap-ttl", "")) or 0.0):
            return False
        data = self.request.query if self.request.method == "GET" else self.body() if rule.looks_at_data else {}
        return rule.lets_carry(self.request.method, data)

    def permission_denied(self, *, invalid: bool) -> Reply:
        """403 without a valid token; from 1.16 on an invalid one gets two errors (TOKDOC, PR26687)."""
        if not invalid and self.knobs.missing_token_in_words:
            return errors(400, "missing client token")
        two = self.knobs.invalid_token_two_errors
        if invalid and (self.cluster.version >= (1, 16) if two is None else two):
            return errors(403, *self.knobs.invalid_token_texts)
        return errors(403, "permission denied")


def _fields(request: Request) -> Mapping[str, object]:
    """A JSON object or, from curl without a content type, a form [OBS]. Raises Rejected (400)."""
    text = request.body.decode(errors="replace").strip()
    if not text:
        return {}
    if request.headers.get("content-type", "").startswith(_FORM) and text[0] not in "{[":
        return {k: v[0] if len(v) == 1 else v for k, v in parse_qs(text, keep_blank_values=True).items()}
    try:
        parsed = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as exc:
        raise Rejected(errors(400, f"failed to parse JSON input: {exc}")) from exc
    if parsed is None:
        return {}  # Go reads null into a map that is empty; the command line sends it
    if not isinstance(parsed, dict):
        kind = {list: "array", str: "string", bool: "bool"}.get(type(parsed), "number")
        text = f"json: cannot unmarshal {kind} into Go value of type map[string]interface {{}}"
        raise Rejected(errors(400, f"failed to parse JSON input: {text}"))
    return _without_lone_surrogates(parsed) if "\\u" in text else parsed


def _no_constant(name: str) -> object:
    raise ValueError(f"invalid character '{name[0]}' looking for beginning of value")


def _without_lone_surrogates(parsed: dict[str, object]) -> Mapping[str, object]:
    """What is no character reads as U+FFFD, as in Go."""
    fields: dict[str, object] = json.loads(_LONE_SURROGATE.sub("\ufffd", json.dumps(parsed, ensure_ascii=False)))
    return fields


def rfc3339(utc_s: float, *, offset_minutes: int = 0, nanos: bool = False) -> str:
    """A time as Go prints it: `Z` for UTC, whole seconds unless `nanos`."""
    zone = timezone(timedelta(minutes=offset_minutes)) if offset_minutes else UTC
    at = datetime.fromtimestamp(utc_s if nanos else int(utc_s), tz=zone)
    return at.isoformat(timespec="microseconds" if nanos else "seconds").replace("+00:00", "Z")


def names_in(value: object) -> tuple[str, ...]:
    """A list of names, or one text with commas."""
    if isinstance(value, list | tuple):
        return tuple(map(str, value))
    return () if value is None else tuple(filter(None, map(str.strip, str(value).split(","))))


def duration_s(text: str) -> float:
    """`3600`, `2d`, `1h30m`, `0s` as seconds, as Vault reads them [OBS: Go's durations, whole numbers, whole days].

    Raises Rejected (400) on anything else, on a negative one, and on what Go cannot count.
    """
    value_s = go_seconds(text)
    if value_s is None or not 0 <= value_s < GO_MAX_S:
        raise Rejected(errors(400, f'Field validation failed: error converting input "{text}" to seconds'))
    return value_s
