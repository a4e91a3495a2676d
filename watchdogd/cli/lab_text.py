"""What the lab said, as lines for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

NO_FAULTS = "no faults"


def status_lines(seen: Mapping[str, Any]) -> Iterator[str]:
    """The lab's own truth."""
    primaries = " AND ".join(seen["primaries"]) or "none"
    yield f"SIMULATOR  seed {seen['seed']}  {seen['now_s']:.1f} s  primary: {primaries}"
    for name, cluster in seen["clusters"].items():
        nodes = " ".join(f"{target.partition('/')[2]}:{how}" for target, how in cluster["nodes"].items())
        closed = "  CLIENT NETWORK CLOSED" if cluster["client_network_closed"] else ""
        roles = f"dr {cluster['dr']:<10} performance {cluster['performance']:<10}"
        yield f"  {name:<10} {roles} active {cluster['active'] or '-':<8} nodes {nodes}{closed}"
    yield f"  {seen['name']['service']} published: {seen['name']['published']}"
    yield "  counts: " + "  ".join(f"{name}={value}" for name, value in seen["counts"].items())
    yield from fault_lines(seen["faults"])


def fault_lines(faults: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """What is broken now, each with its number."""
    for fault in faults:
        params = " ".join(f"{name}={value}" for name, value in fault["params"].items())
        place = f" from {fault['place']}" if fault["place"] else ""
        left = f" for {fault['left_s']} s more" if fault["left_s"] is not None else ""
        yield f"  fault {fault['id']}: {fault['kind']} {fault['target']}{place}{left} {params}".rstrip()


def cleared(count: int, fault_id: int | None) -> str:
    """What `fault clear` did: of one by its number, or of all there were."""
    if fault_id is not None:
        return f"cleared fault {fault_id}"
    return f"cleared {count} fault{'s' if count > 1 else ''}" if count else NO_FAULTS
