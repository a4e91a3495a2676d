"""The repair of replication: reindex, recover, merkle-check.

Sources: REPDOC, DRDOC2, SYSPATHS; section 3.12 of the reference. Of two of their answers the samples show only that
they hold one warning: its text is a knob, and so is what `state` says while a cluster reindexes.
"""

from __future__ import annotations

import base64

from watchdogd.lab.call import Call, rfc3339
from watchdogd.lab.node import Mode
from watchdogd.lab.reply import Rejected, Reply, errors
from watchdogd.lab.roles import Kind
from watchdogd.lab.route import ON_DR, Handler, Route
from watchdogd.lab.routes_roles import UPDATE, authorise_operation, secondary_role, use_up


def by_token(act: Handler, *, sudo: bool = False) -> Handler:
    """`act` for whoever may update this path [REPDOC]."""

    def handler(call: Call) -> Reply:
        call.authorise(sudo=sudo, wanted=UPDATE)
        return act(call)

    return handler


def by_operation(act: Handler) -> Handler:
    """`act` on a DR secondary, by an operation token for this path [SYSPATHS, DRDOC2 3.12]."""

    def handler(call: Call) -> Reply:
        secondary_role(call, Kind.DR)
        authorise_operation(call, Kind.DR)
        use_up(call)
        return act(call)

    return handler


def _replicating(call: Call) -> None:
    if all(role.mode is Mode.DISABLED for role in call.cluster.roles.values()):
        raise Rejected(errors(400, call.knobs.not_replicating_text))


def reindex(call: Call) -> Reply:
    """POST .../reindex: takes time by what there is."""
    _replicating(call)
    memory = call.node.active
    if memory is not None and memory.reindex_until_s is None:
        rate = call.knobs.reindex_entries_per_s * (1.0 if not call.flag("diff") else 0.5)  # "a slower re-indexing"
        memory.reindex_until_s = call.now_s + call.knobs.reindex_s + len(call.store.keys("")) / rate
        return call.logical(warnings=[call.knobs.reindex_text])
    return errors(400, call.knobs.reindexing_already_text)


def recover(call: Call) -> Reply:
    """POST .../recover: a secondary compares again; a primary has nothing to compare with."""
    _replicating(call)
    for kind in Kind:
        call.world.replication.compare_again(call.cluster, kind, call.now_s)
    return call.logical(warnings=[call.knobs.recover_text])


def merkle_check(call: Call) -> Reply:
    """POST .../merkle-check: the roots as they are now."""
    _replicating(call)
    call.cluster.merkle_checked_utc_s = call.utc_s
    offset = call.knobs.utc_offset_minutes
    roots = {"replicated": call.store.shared_root, "local": call.store.local_root}
    report = {
        "corrupted_root": False,
        "corrupted_tree_map": {str(n): _tree(kind, root) for n, (kind, root) in enumerate(roots.items(), start=1)},
        "last_corruption_check_epoch": rfc3339(call.utc_s, offset_minutes=offset, nanos=True),
    }
    return call.logical({"merkle_corruption_report": report})


def _tree(kind: str, root: str) -> dict[str, object]:
    return {
        "corrupted_index_tuples_map": None,
        "corrupted_subtree_root": False,
        "root_hash": base64.b64encode(bytes.fromhex(root)).decode(),
        "tree_type": kind,
    }


ROUTES: tuple[Route, ...] = (
    Route("PUT", "sys/replication/reindex", by_token(reindex, sudo=True), "REPDOC SYSPATHS"),
    Route("PUT", "sys/replication/<kind>/reindex", by_token(reindex, sudo=True), "SYSPATHS"),
    Route("PUT", "sys/replication/dr/secondary/reindex", by_operation(reindex), "DRDOC2 SYSPATHS", ON_DR),
    Route("PUT", "sys/replication/recover", by_token(recover), "REPDOC"),
    Route("PUT", "sys/replication/dr/secondary/recover", by_operation(recover), "SYSPATHS", ON_DR),
    Route("PUT", "sys/replication/merkle-check", by_token(merkle_check), "REPDOC"),
    Route("PUT", "sys/replication/dr/secondary/merkle-check", by_operation(merkle_check), "DRDOC2", ON_DR),
)
