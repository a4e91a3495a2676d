"""What a performance secondary does with a write that is not its own: it asks its primary, over the link.

Sources: INTERNALS, REPL-OV, PERFDOC. The token is judged on the secondary, where alone it is known; the primary carries
out what was asked, and the write comes back by the stream like any other.
"""

from watchdogd.lab.call import Call
from watchdogd.lab.reply import Rejected, errors
from watchdogd.lab.roles import Kind


def at_primary(call: Call, *, may_go: bool = True) -> Call:
    """The same request at the active node of the primary, the caller being known. Raises Rejected: out of reach."""
    link, memory = call.cluster.roles[Kind.PERFORMANCE].link, call.node.active
    primary = None if link is None else call.world.clusters[link.primary]
    far = None if primary is None else primary.serving()
    is_up = memory is not None and memory.connected_s is not None and may_go
    if primary is None or far is None or not is_up or _is_cut(call):
        raise Rejected(errors(call.knobs.not_forwarded_status, call.knobs.not_forwarded_text))
    return Call(
        world=call.world,
        cluster=primary,
        node=far,
        asked=far,
        request=call.request,
        now_s=call.now_s,
        token=call.token,
    )


def _is_cut(call: Call) -> bool:
    link = call.cluster.roles[Kind.PERFORMANCE].link
    return link is None or call.world.replication.why_broken(call.cluster, Kind.PERFORMANCE, link) is not None
