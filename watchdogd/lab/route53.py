"""A pure model of Amazon Route 53 for one hosted zone: what the API says, and when the name servers show it.

Two clocks that other simulators run together are kept apart: ListResourceRecordSets shows a change at once, GetChange
says PENDING for `propagation_s`, and the zone's servers go on answering the previous record until then (and longer,
where one lags).

Sources: Route 53 API reference, 2013-04-01, actions ChangeResourceRecordSets, GetChange, GetHostedZone,
ListResourceRecordSets and "Common errors"; quotas page (five requests per second and account); wording of errors from
replies quoted in public bug reports. Not modelled: signatures are not verified (only the access key id is looked at),
alias, weighted and failover record sets, health checks, more than one zone.
"""

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import assert_never
from urllib.parse import parse_qs, urlsplit

from watchdogd.lab import route53_xml as xml
from watchdogd.lab.route53_xml import Action, Change, ChangeBatch
from watchdogd.lab.wire import Exchange, Outcome
from watchdogd.lab.zone import Key, RecordSet, RecordType, Zone, fqdn

LIST_ITEMS_MAX = 300  # ListResourceRecordSets, parameter maxitems
CHANGES_KEPT_MAX = 1000


class AwsCode(StrEnum):
    """Error codes as AWS spells them."""

    ACCESS_DENIED = "AccessDenied"
    INVALID_CHANGE_BATCH = "InvalidChangeBatch"
    INVALID_CLIENT_TOKEN_ID = "InvalidClientTokenId"  # noqa: S105  (the code's own spelling)
    INVALID_INPUT = "InvalidInput"
    MISSING_AUTHENTICATION_TOKEN = "MissingAuthenticationToken"  # noqa: S105  (the code's own spelling)
    NO_SUCH_CHANGE = "NoSuchChange"
    NO_SUCH_HOSTED_ZONE = "NoSuchHostedZone"
    PRIOR_REQUEST_NOT_COMPLETE = "PriorRequestNotComplete"
    SERVICE_UNAVAILABLE = "ServiceUnavailable"
    THROTTLING = "Throttling"
    UNKNOWN_OPERATION = "UnknownOperationException"


_STATUS: Mapping[AwsCode, int] = {
    AwsCode.ACCESS_DENIED: 403,
    AwsCode.INVALID_CLIENT_TOKEN_ID: 403,
    AwsCode.MISSING_AUTHENTICATION_TOKEN: 403,
    AwsCode.NO_SUCH_CHANGE: 404,
    AwsCode.NO_SUCH_HOSTED_ZONE: 404,
    AwsCode.UNKNOWN_OPERATION: 404,
    AwsCode.SERVICE_UNAVAILABLE: 503,
}

_WORDING: Mapping[AwsCode, str] = {
    AwsCode.PRIOR_REQUEST_NOT_COMPLETE: (
        "The request was rejected because Route 53 was still processing a prior request."
    ),
    AwsCode.SERVICE_UNAVAILABLE: "Service is unavailable.",
    AwsCode.THROTTLING: "Rate exceeded",
}


class Operation(StrEnum):
    """The API actions that the lab answers."""

    CHANGE = "ChangeResourceRecordSets"
    GET_CHANGE = "GetChange"
    GET_ZONE = "GetHostedZone"
    LIST = "ListResourceRecordSets"


class AwsRefusal(Exception):
    """The request was refused as a whole; nothing changed."""

    def __init__(self, code: AwsCode, message: str | None = None) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message if message is not None else _WORDING[code]


@dataclass(slots=True, kw_only=True)
class Route53Knobs:
    """What scenarios turn. Times in seconds of the lab's clock."""

    propagation_s: float = 5.0  # PENDING for so long; AWS: "usually within 60 seconds"
    processing_s: float = 0.0  # a second batch within this time after an accepted one: PriorRequestNotComplete
    requests_per_s_max: int | None = 5  # None: never Throttling
    values_match_exactly: bool = True  # DELETE compares values as spelled; UNCONFIRMED whether AWS normalises them


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedChange:
    """One batch that was applied, for the lab's own log and for GetChange."""

    change_id: str
    submitted_at_s: float
    insync_at_s: float
    comment: str | None
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    operation: Operation
    subject: str
    query: Mapping[str, str]
    body: bytes


_ROUTES: tuple[tuple[str, re.Pattern[str], Operation], ...] = (
    ("POST", re.compile(r"/2013-04-01/hostedzone/([^/]+)/rrset/?"), Operation.CHANGE),
    ("GET", re.compile(r"/2013-04-01/hostedzone/([^/]+)/rrset/?"), Operation.LIST),
    ("GET", re.compile(r"/2013-04-01/hostedzone/([^/]+)"), Operation.GET_ZONE),
    ("GET", re.compile(r"/2013-04-01/change/([^/]+)"), Operation.GET_CHANGE),
)


@dataclass(slots=True, kw_only=True)
class Route53:
    """The API in front of `zone`. `epoch_utc_s` is the UTC time at which the lab's clock showed 0."""

    zone: Zone
    zone_id: str
    epoch_utc_s: float
    access_key_ids: frozenset[str]
    knobs: Route53Knobs = field(default_factory=Route53Knobs)
    refusal: Callable[[Operation], AwsCode | None] = lambda _operation: None  # what a fault refuses this request with
    accepted: deque[AcceptedChange] = field(default_factory=lambda: deque(maxlen=CHANGES_KEPT_MAX))
    _records: dict[Key, RecordSet] = field(init=False)
    _recent_s: deque[float] = field(default_factory=deque)
    _requests: int = 0

    def __post_init__(self) -> None:
        soa = f"{self.zone.servers[0]} awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400"
        own = RecordSet(name=self.zone.origin, rtype=RecordType.SOA, ttl_s=900, values=(soa,))
        self._records = {own.key: own, **self.zone.records}

    def exchange(
        self, method: str, path_and_query: str, headers: Mapping[str, str], body: bytes, now_s: float
    ) -> Exchange:
        """One request. Takes effect at `now_s`, completely or not at all."""
        self._requests += 1
        request_id = _id("request", self.zone_id, self._requests)
        try:
            request = _route(method, path_and_query, body)
            self._admit(request, headers, now_s)
            reply = self._perform(request, now_s)
        except AwsRefusal as no:
            reply = xml.error_body(code=no.code, message=no.message, request_id=request_id, fault=_fault(no.code))
            return _reply(_STATUS.get(no.code, 400), reply, request_id)
        return _reply(200, reply, request_id)

    def accepted_after(self, change_id: str | None) -> tuple[AcceptedChange, ...]:
        """The batches accepted since the one with this id, oldest first; all that are kept where there is none."""
        ids = [change.change_id for change in self.accepted]
        return tuple(self.accepted)[ids.index(change_id) + 1 if change_id in ids else 0 :]

    def change_status(self, change: AcceptedChange, now_s: float) -> str:
        """PENDING or INSYNC, as GetChange would say it at `now_s`."""
        return "INSYNC" if now_s >= change.insync_at_s else "PENDING"

    def _admit(self, request: _Request, headers: Mapping[str, str], now_s: float) -> None:
        _authenticate(headers, self.access_key_ids)
        self._throttle(now_s)
        code = self.refusal(request.operation)
        if code is AwsCode.ACCESS_DENIED:
            raise AwsRefusal(code, self._denial(request.operation))
        if code is not None:
            raise AwsRefusal(code)

    def _throttle(self, now_s: float) -> None:
        while self._recent_s and self._recent_s[0] <= now_s - 1.0:
            self._recent_s.popleft()
        allowed = self.knobs.requests_per_s_max
        if allowed is not None and len(self._recent_s) >= allowed:
            raise AwsRefusal(AwsCode.THROTTLING)
        self._recent_s.append(now_s)

    def _denial(self, operation: Operation) -> str:
        resource = f"arn:aws:route53:::hostedzone/{self.zone_id}"
        return (
            f"User: arn:aws:iam::123456789012:user/lab is not authorized to perform: route53:{operation} on resource: "
            f"{resource} because no identity-based policy allows the route53:{operation} action"
        )

    def _perform(self, request: _Request, now_s: float) -> bytes:
        if request.operation is Operation.GET_CHANGE:
            return self._get_change(request.subject, now_s)
        if request.subject != self.zone_id:
            raise AwsRefusal(AwsCode.NO_SUCH_HOSTED_ZONE, f"No hosted zone found with ID: {request.subject}")
        match request.operation:
            case Operation.CHANGE:
                return self._change(request.body, now_s)
            case Operation.LIST:
                return self._list(request.query)
            case Operation.GET_ZONE:
                return xml.hosted_zone_body(
                    zone_id=self.zone_id,
                    name=self.zone.origin,
                    record_count=len(self._records),
                    servers=self.zone.servers,
                )
            case _:
                assert_never(request.operation)

    def _change(self, body: bytes, now_s: float) -> bytes:
        try:
            batch = xml.parse_change_batch(body)
        except xml.UnreadableRequest as exc:
            raise AwsRefusal(AwsCode.INVALID_INPUT, str(exc)) from exc
        if self.accepted and now_s - self.accepted[-1].submitted_at_s < self.knobs.processing_s:
            raise AwsRefusal(AwsCode.PRIOR_REQUEST_NOT_COMPLETE)
        self._records = self._applied(batch)
        accepted = AcceptedChange(
            change_id="C" + _id("change", self.zone_id, self._requests).replace("-", "").upper()[:19],
            submitted_at_s=now_s,
            insync_at_s=now_s + self.knobs.propagation_s,
            comment=batch.comment,
            changes=batch.changes,
        )
        self.accepted.append(accepted)
        published = {r.key: r for r in map(_published, self._records.values()) if r.rtype is not RecordType.SOA}
        self.zone.publish(published, at_s=accepted.insync_at_s, now_s=now_s)
        return self._change_info("ChangeResourceRecordSetsResponse", accepted, now_s)

    def _applied(self, batch: ChangeBatch) -> dict[Key, RecordSet]:
        """The records after the whole batch. Raises AwsRefusal when any change, or the result, is not possible."""
        records, wrong = dict(self._records), []
        for change in batch.changes:
            if (why := self._objection(change, records)) is not None:
                wrong.append(why)
            elif change.action is Action.DELETE:
                del records[change.record.key]
            else:
                records[change.record.key] = change.record
        wrong += [why for c in batch.changes if (why := self._misplaced(c.record, records)) is not None]
        if wrong:
            raise AwsRefusal(AwsCode.INVALID_CHANGE_BATCH, f"[{', '.join(wrong)}]")
        return records

    def _objection(self, change: Change, records: Mapping[Key, RecordSet]) -> str | None:
        held = records.get(change.record.key)
        rrset = f"resource record set [name='{change.record.name}', type='{change.record.rtype}']"
        match change.action:
            case Action.CREATE if held is not None:
                return f"Tried to create {rrset} but it already exists"
            case Action.DELETE if held is None:
                return f"Tried to delete {rrset} but it was not found"
            case Action.DELETE if held is not None and not self._same(held, change.record):
                return f"Tried to delete {rrset} but the values provided do not match the current values"
            case _:
                return None

    def _same(self, held: RecordSet, given: RecordSet) -> bool:
        if not self.knobs.values_match_exactly:
            held, given = _published(held), _published(given)
        return held.ttl_s == given.ttl_s and sorted(held.values) == sorted(given.values)

    def _misplaced(self, record: RecordSet, records: Mapping[Key, RecordSet]) -> str | None:
        name, origin = record.name, self.zone.origin
        if name != origin and not name.endswith("." + origin):
            return f"RRSet with DNS name {name} is not permitted in zone {origin}"
        if record.key not in records:
            return None
        if record.rtype is RecordType.CNAME and name == origin:
            return f"RRSet of type CNAME with DNS name {name} is not permitted at apex in zone {origin}"
        at_name = {rtype for held_name, rtype in records if held_name == name}
        if RecordType.CNAME in at_name and len(at_name) > 1:
            return (
                f"RRSet of type {record.rtype} with DNS name {name} is not permitted as it conflicts with other "
                f"records with the same DNS name in zone {origin}"
            )
        return None

    def _get_change(self, change_id: str, now_s: float) -> bytes:
        found = next((c for c in reversed(self.accepted) if c.change_id == change_id), None)
        if found is None:
            raise AwsRefusal(AwsCode.NO_SUCH_CHANGE, f"Could not find resource with ID: {change_id}")
        return self._change_info("GetChangeResponse", found, now_s)

    def _change_info(self, root_tag: str, change: AcceptedChange, now_s: float) -> bytes:
        submitted_utc = datetime.fromtimestamp(self.epoch_utc_s + change.submitted_at_s, UTC)
        return xml.change_body(
            root_tag=root_tag,
            change_id=change.change_id,
            status=self.change_status(change, now_s),
            submitted_at=submitted_utc.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            comment=change.comment,
        )

    def _list(self, query: Mapping[str, str]) -> bytes:
        """Names in the order of their reversed labels, from `name` and `type` on, at most `maxitems`."""
        items_max = min(int(query.get("maxitems", LIST_ITEMS_MAX)), LIST_ITEMS_MAX)
        ordered = sorted(self._records.values(), key=lambda r: _order(r.name, r.rtype))
        if "name" in query:
            start = _order(fqdn(query["name"]), query.get("type", ""))
            ordered = [r for r in ordered if _order(r.name, r.rtype) >= start]
        page, rest = ordered[:items_max], ordered[items_max:]
        return xml.record_sets_body(page=page, next_record=rest[0] if rest else None, items_max=items_max)


def _route(method: str, path_and_query: str, body: bytes) -> _Request:
    parts = urlsplit(path_and_query)
    for route_method, pattern, operation in _ROUTES:
        if method == route_method and (hit := pattern.fullmatch(parts.path)) is not None:
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            return _Request(operation=operation, subject=hit[1], query=query, body=body)
    raise AwsRefusal(AwsCode.UNKNOWN_OPERATION, f"the lab does not answer {method} {parts.path}")


def _authenticate(headers: Mapping[str, str], access_key_ids: frozenset[str]) -> None:
    given = next((value for key, value in headers.items() if key.lower() == "authorization"), "")
    hit = re.search(r"Credential=([^/]+)/", given)
    if hit is None:
        raise AwsRefusal(AwsCode.MISSING_AUTHENTICATION_TOKEN, "Missing Authentication Token")
    if hit[1] not in access_key_ids:
        raise AwsRefusal(AwsCode.INVALID_CLIENT_TOKEN_ID, "The security token included in the request is invalid.")


def _published(record: RecordSet) -> RecordSet:
    """The record as name servers show it: names in the values are absolute."""
    if record.rtype not in (RecordType.CNAME, RecordType.NS):
        return record
    values = tuple(fqdn(value) for value in record.values)
    return RecordSet(name=record.name, rtype=record.rtype, ttl_s=record.ttl_s, values=values)


def _order(name: str, rtype: str) -> tuple[list[str], str]:
    return (list(reversed(name.rstrip(".").split("."))), rtype)


def _fault(code: AwsCode) -> str:
    return "Receiver" if _STATUS.get(code, 400) >= 500 else "Sender"


def _id(*parts: object) -> str:
    """An id that looks like a UUID and is the same in every run with the same history."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"


def _reply(status: int, body: bytes, request_id: str) -> Exchange:
    headers = {"Content-Type": xml.CONTENT_TYPE, "x-amzn-RequestId": request_id}
    return Exchange(outcome=Outcome.ANSWER, delay_s=0.0, status=status, headers=headers, body=body)
