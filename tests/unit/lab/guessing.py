"""What the API shows of guesses of the lab: each is asked with every choice of its knob."""

from __future__ import annotations

import re

from tests.unit.lab.asking import Said, asker, empty_world
from tests.unit.lab.founding import Founder
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.wire import Outcome


def told(said: Said) -> object:
    """Everything of an answer but the id of its request."""
    exchange = said.exchange
    if exchange.outcome is not Outcome.ANSWER:
        return exchange.outcome
    text = re.sub(rb'"request_id":\s?"[^"]*"', b"", exchange.body)
    return exchange.status, text


def left_after_promotion(**knobs: object) -> object:
    a = asker(**knobs)
    token = a.activation("east", "later")
    a.wait(1)
    a.fail_over("east", "west")
    return told(a.post("west/1", "sys/wrapping/lookup", {"token": token}))


def without_a_file(**knobs: object) -> object:
    return told(asker(**knobs).update_primary("west", "x.y.z", ca_file="/nope"))


def overloaded(**knobs: object) -> object:
    a = asker(**knobs)
    a.fault(FaultKind.WRITE_OVERLOAD, "cluster:east")
    return told(a.write("east/1", "x"))


def limited_on_a_secondary(**knobs: object) -> object:
    a = asker(**knobs)
    rule = {"rate": 1, "interval": 60}
    assert a.post("east/1", "sys/quotas/rate-limit/all", rule, token=a.has["root_token"]).status == 204
    a.wait(2)
    return [a.ask("west/1", "sys/leader").status for _ in range(2)]


def status_of_a_kind_of_community(**knobs: object) -> object:
    f = Founder(empty_world(version="1.19.0+ce", **knobs))
    f.found("east")
    return [told(f.a.ask("east/1", f"sys/replication/{kind}/status")) for kind in ("dr", "performance")]


def performance_on_a_demoted_one(**knobs: object) -> object:
    a = asker(**knobs)
    assert a.post("east/1", "sys/replication/performance/primary/enable", {}, token=a.has["root_token"]).status == 200
    a.wait(10)
    a.demote("east")
    a.wait(10)
    health = a.ask("east/1", "sys/health").json
    assert health["replication_dr_mode"] == "secondary"
    shown = a.ask("east/1", "sys/replication/performance/status").data["mode"]
    return health["replication_performance_mode"], shown


def led_nowhere(**knobs: object) -> object:
    """The primary is told to give its secondaries an address at which nobody is."""
    a = asker(**knobs)
    a.promote("west", primary_cluster_addr="https://127.3.9.9:8201")
    a.demote("east")
    a.wait(15)
    return told(a.update_primary("east", a.activation("west", "east-again")))


def started_in_vain(**knobs: object) -> object:
    a = asker(**knobs)
    a.fault(FaultKind.ACTIVATION_FAILS, "cluster:west")
    return told(a.update_primary("west", a.activation("east", "west-again")))


def licence_reloaded(**knobs: object) -> object:
    a = asker(**knobs)
    return told(a.ask("east/1", "sys/config/reload/license", "PUT", token=a.has["root_token"]))


def unsealed_again(**knobs: object) -> object:
    """A node of a DR secondary; a primary's says what it is, in any case."""
    a = asker(**knobs)
    assert a.post("east/1", "sys/unseal", {"key": a.shares[0]}).status == 200
    return told(a.post("west/2", "sys/unseal", {"key": a.shares[0]}))
