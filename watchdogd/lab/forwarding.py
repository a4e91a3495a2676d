"""What a performance secondary does with a write that is not its own: it asks its primary, over the link.

Sources: INTERNALS, REPL-OV, PERFDOC. The token is judged on the secondary, where alone it is known; the primary carries
out what was asked, and the write comes back by the stream like any other.
"""

from watchdogd.lab import streaming
from watchdogd.lab.call import Call
from watchdogd.lab.reply import Rejected, errors
from watchdogd.lab.roles import Kind


def at_primary(call: Call, *, may_go: bool = True) -> Call:
    """The same request at the active node of the primary, the caller being known. Raises Rejected: out of reach."""
    stream, memory = call.world.replication.stream(call.cluster, Kind.PERFORMANCE), call.node.active
    far = None if stream is None else stream.far
    is_up = memory is not None and memory.connected_s is not None and may_go
    if stream is None or far is None or not is_up or streaming.why_broken(stream) is not None:
        raise Rejected(errors(call.knobs.not_forwarded_status, call.knobs.not_forwarded_text))
    return Call(
        world=call.world,
        cluster=stream.primary,
        node=far,
        asked=far,
        request=call.request,
        now_s=call.now_s,
        token=call.token,
    )
