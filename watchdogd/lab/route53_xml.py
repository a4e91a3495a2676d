"""Route 53's XML, both ways. Pure; what the model (`route53.py`) reads and what an unmodified AWS client reads back.

Source: botocore's service model route53/2013-04-01/service-2.json, and replies quoted in public bug reports
(ErrorResponse form: boto issue 2887, rancher issue 2529).
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from watchdogd.lab.zone import RecordSet, RecordType, fqdn

NAMESPACE = "https://route53.amazonaws.com/doc/2013-04-01/"
CONTENT_TYPE = "text/xml"


class Action(StrEnum):
    """What a change does to one record set."""

    CREATE = "CREATE"
    DELETE = "DELETE"
    UPSERT = "UPSERT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of a batch. The name is normalised, the values are as the caller spelled them."""

    action: Action
    record: RecordSet


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeBatch:
    """A parsed ChangeResourceRecordSets request."""

    changes: tuple[Change, ...]
    comment: str | None


class UnreadableRequest(ValueError):
    """The body is not a ChangeResourceRecordSets request that the lab can hold; the text says why."""


def parse_change_batch(body: bytes) -> ChangeBatch:
    """Raises UnreadableRequest: not XML, no changes, or a kind of record set that the lab does not hold."""
    if b"<!DOCTYPE" in body:
        raise UnreadableRequest("Invalid XML ; a document type is not allowed")
    try:
        root = ET.fromstring(body)  # noqa: S314  (no document type, so no entities; the lab listens on loopback only)
    except ET.ParseError as exc:
        raise UnreadableRequest(f"Invalid XML ; {exc}") from exc
    changes = tuple(_change(node) for node in root.findall(_path("ChangeBatch", "Changes", "Change")))
    if not changes:
        raise UnreadableRequest("Invalid request: a change batch needs at least one change")
    return ChangeBatch(changes=changes, comment=root.findtext(_path("ChangeBatch", "Comment")))


def _change(node: ET.Element) -> Change:
    try:
        action = Action(_text(node, "Action"))
        rtype = RecordType(_text(node, "ResourceRecordSet", "Type"))
        ttl_s = int(_text(node, "ResourceRecordSet", "TTL"))
    except ValueError as exc:
        raise UnreadableRequest(f"Invalid request: {exc} (the lab holds simple record sets only)") from exc
    values = tuple(
        value.text or ""
        for value in node.findall(_path("ResourceRecordSet", "ResourceRecords", "ResourceRecord", "Value"))
    )
    if not values:
        raise UnreadableRequest("Invalid request: a record set needs at least one value")
    name = fqdn(_text(node, "ResourceRecordSet", "Name"))
    return Change(action=action, record=RecordSet(name=name, rtype=rtype, ttl_s=ttl_s, values=values))


def _path(*tags: str) -> str:
    return "/".join(f"{{{NAMESPACE}}}{tag}" for tag in tags)


def _text(node: ET.Element, *tags: str) -> str:
    text = node.findtext(_path(*tags))
    if text is None:
        raise UnreadableRequest(f"Invalid request: missing element {tags[-1]} (the lab holds simple record sets only)")
    return text


def error_body(*, code: str, message: str, request_id: str, fault: str = "Sender") -> bytes:
    root = ET.Element("ErrorResponse", xmlns=NAMESPACE)
    error = ET.SubElement(root, "Error")
    _leaves(error, (("Type", fault), ("Code", code), ("Message", message)))
    _leaves(root, (("RequestId", request_id),))
    return _document(root)


def change_body(*, root_tag: str, change_id: str, status: str, submitted_at: str, comment: str | None) -> bytes:
    """The reply of ChangeResourceRecordSets and of GetChange, which differ in their root only."""
    root = ET.Element(root_tag, xmlns=NAMESPACE)
    info = ET.SubElement(root, "ChangeInfo")
    _leaves(info, (("Id", f"/change/{change_id}"), ("Status", status), ("SubmittedAt", submitted_at)))
    if comment is not None:
        _leaves(info, (("Comment", comment),))
    return _document(root)


def hosted_zone_body(*, zone_id: str, name: str, record_count: int, servers: Sequence[str]) -> bytes:
    root = ET.Element("GetHostedZoneResponse", xmlns=NAMESPACE)
    zone = ET.SubElement(root, "HostedZone")
    _leaves(zone, (("Id", f"/hostedzone/{zone_id}"), ("Name", name), ("CallerReference", "lab")))
    _leaves(ET.SubElement(zone, "Config"), (("PrivateZone", "false"),))
    _leaves(zone, (("ResourceRecordSetCount", str(record_count)),))
    delegation = ET.SubElement(ET.SubElement(root, "DelegationSet"), "NameServers")
    _leaves(delegation, (("NameServer", server.rstrip(".")) for server in servers))
    return _document(root)


def record_sets_body(*, page: Iterable[RecordSet], next_record: RecordSet | None, items_max: int) -> bytes:
    root = ET.Element("ListResourceRecordSetsResponse", xmlns=NAMESPACE)
    record_sets = ET.SubElement(root, "ResourceRecordSets")
    for record in page:
        _record_set(record_sets, record)
    _leaves(root, (("IsTruncated", "false" if next_record is None else "true"), ("MaxItems", str(items_max))))
    if next_record is not None:
        _leaves(root, (("NextRecordName", next_record.name), ("NextRecordType", next_record.rtype)))
    return _document(root)


def _record_set(parent: ET.Element, record: RecordSet) -> None:
    node = ET.SubElement(parent, "ResourceRecordSet")
    _leaves(node, (("Name", record.name), ("Type", record.rtype), ("TTL", str(record.ttl_s))))
    records = ET.SubElement(node, "ResourceRecords")
    for value in record.values:
        _leaves(ET.SubElement(records, "ResourceRecord"), (("Value", value),))


def _leaves(parent: ET.Element, leaves: Iterable[tuple[str, str]]) -> None:
    for tag, text in leaves:
        ET.SubElement(parent, tag).text = text


def _document(root: ET.Element) -> bytes:
    return b'<?xml version="1.0"?>\n' + ET.tostring(root, encoding="unicode").encode()
