"""The rules between knobs: what a policy must hold before a daemon may run on it (INTERFACES section 1, DESIGN 4).

A rule compares decisions with each other; whether one value is well formed was checked before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from watchdogd.core.model import Replication
from watchdogd.core.policy import WITNESS_SLOW_S, ClusterPolicy, Level, OnFenceFailure, PairPolicy, Policy, Timing

DOWN_AFTER_S_MIN = 30.0  # outside demo and lab: below it, a leader election of Vault itself looks like an outage
HEARTBEAT_STALE_S_MIN = 15.0  # three of Vault's 5 s beats
UP_ROUNDS_MIN = 2
MINTING_NOT_YET = (
    "the daemon does not mint tokens yet: remove token_ttl and rotate_every, and mint by cron on the primary"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One broken rule: where, what is wrong, and the way out."""

    path: str
    wrong: str
    way_out: str

    def __str__(self) -> str:
        return f"{self.path}: {self.wrong}: {self.way_out}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something allowed that the operator must know at every start."""

    path: str
    text: str

    def __str__(self) -> str:
        return f"{self.path}: {self.text}"


def violations(policy: Policy) -> tuple[Violation, ...]:
    """Every rule that `policy` breaks, in the order of the config; empty when a daemon may run on it."""
    return tuple(_violations(policy))


def notices(policy: Policy) -> tuple[Notice, ...]:
    """What `policy` gives up on purpose, in the order of the config."""
    return tuple(notice for pair in policy.pairs.values() for notice in _notices(pair))


def _violations(policy: Policy) -> Iterator[Violation]:
    yield from _self_check(policy)
    for pair in policy.pairs.values():
        path = f"pair.{pair.pair}"
        yield from _prefixed(path, _shape(pair))
        if len(pair.clusters) != 2:
            continue  # nothing below can be asked of anything but two clusters
        yield from _prefixed(f"{path}.levels", _levels(pair))
        yield from _prefixed(path, _nodes(pair, is_simulated=policy.environment.is_simulated))
        yield from _prefixed(path, _fences(pair))
        yield from _prefixed(f"{path}.policy", _undecided(pair))
        yield from _prefixed(f"{path}.credentials", _credentials(pair))
        yield from _prefixed(f"{path}.dns", _dns(pair))
        yield from _prefixed(f"{path}.timing", _timing(pair.timing, is_simulated=policy.environment.is_simulated))


def _prefixed(path: str, found: Iterator[Violation]) -> Iterator[Violation]:
    for one in found:
        yield Violation(path=f"{path}.{one.path}" if one.path else path, wrong=one.wrong, way_out=one.way_out)


def _broken(path: str, wrong: str, way_out: str) -> Violation:
    return Violation(path=path, wrong=wrong, way_out=way_out)


def _is_above_observe(pair: PairPolicy) -> bool:
    levels = pair.levels
    asked = (levels.failover, levels.settle_debt, levels.cutover_dns, levels.heal, levels.rejoin)
    return any(level is not Level.OBSERVE for level in asked)


def _self_check(policy: Policy) -> Iterator[Violation]:
    clusters = {cluster for pair in policy.pairs.values() for cluster in pair.clusters}
    for index, anchor in enumerate(policy.anchors):
        if anchor.near is not None and anchor.near not in clusters:
            known = ", ".join(sorted(clusters))
            yield _broken(
                f"self_check.anchors[{index}].place", f"{anchor.near!r} is no cluster of any pair", f"one of {known}"
            )
    twice = [address for address, count in Counter(a.address for a in policy.anchors).items() if count > 1]
    for address in twice:
        yield _broken("self_check.anchors", f"{address} is listed twice", "a majority counts each anchor once")
    acts = any(pair.levels.failover is not Level.OBSERVE for pair in policy.pairs.values())
    if acts and not any(anchor.place == "neutral" for anchor in policy.anchors):
        yield _broken(
            "self_check.anchors",
            "no anchor is placed neutral, so nobody could tell our own outage from the primary's",
            'at least one { address = "HOST:PORT", place = "neutral" } outside our region, or failover = "observe"',
        )


def _shape(pair: PairPolicy) -> Iterator[Violation]:
    count = len(pair.clusters)
    if count != 2:
        yield _broken("cluster", f"{count} cluster(s)", "a pair is exactly two [pair.NAME.cluster.CLUSTER] tables")
        return
    if pair.home not in pair.clusters:
        yield _broken("home", f"{pair.home!r} is no cluster of this pair", f"one of {', '.join(pair.clusters)}")
    ids = [cluster.vault_id for cluster in pair.clusters.values()]
    if ids[0] == ids[1]:
        yield _broken(
            f"cluster.{pair.cluster_ids[1]}.vault_id",
            f"the same as that of {pair.cluster_ids[0]}",
            "cluster_id of sys/health, which differs per cluster (replication_id is the one that both share)",
        )
    elif pair.replication_id in ids:
        yield _broken(
            "replication_id",
            "the same as a vault_id",
            f"cluster_id of sys/replication/{pair.replication}/status, not of sys/health",
        )
    yield from _witnesses(pair)


def _witnesses(pair: PairPolicy) -> Iterator[Violation]:
    timing = pair.timing
    for witness in pair.witnesses:
        if witness.timeout_s > timing.witness_timeout_s_max:
            yield _broken(
                f"witness.{witness.name}.timeout",
                f"{witness.timeout_s:g}s: what it saw would be forgotten before it is asked again",
                f"at most {timing.witness_timeout_s_max:g}s (2 x interval + {WITNESS_SLOW_S:g}s)",
            )
        own = next((name for name, one in pair.clusters.items() if one.vault_id == witness.vault_id), None)
        if own is not None:
            yield _broken(
                f"witness.{witness.name}.vault_id",
                f"that of {own}, which is one of the pair and asked anyway",
                "the cluster_id of a third cluster, or no witness",
            )
    twice = [name for name, n in Counter(witness.name for witness in pair.witnesses).items() if n > 1]
    for name in twice:
        yield _broken("witness", f"two witnesses are called {name!r}", "a name of its own for each")


def _levels(pair: PairPolicy) -> Iterator[Violation]:
    levels = pair.levels
    if levels.failover is Level.APPROVE and pair.replication is Replication.PERFORMANCE:
        yield _broken("failover", "approve is not there yet for performance replication", '"observe"')
    for name, level in (("heal", levels.heal), ("rejoin", levels.rejoin)):
        if level is Level.AUTO:
            yield _broken(name, "auto is not there yet", '"approve" (it pages, and names what to do) or "observe"')
    if levels.failover is not Level.AUTO:
        return
    if pair.replication is Replication.PERFORMANCE:
        yield _broken("failover", "auto is never allowed for performance replication", '"observe"')
    if not any(pair.tells_a_partition(cluster) for cluster in pair.clusters):
        yield _broken(
            "failover",
            "auto, but nothing tells a dead primary from one that is only cut off from us",
            'a fence with on_failure = "block", a witness with path = "independent", or in so many words '
            "accept_two_primaries_on_partition = true (the manual, chapter 1)",
        )
    for name, cluster in pair.clusters.items():
        if not cluster.is_tls_verified:
            yield _broken(
                "failover",
                f"auto, but cluster.{name}.tls.verify = false: anybody on the path could say that it is down",
                '"observe", or a ca_file that verifies',
            )


def _undecided(pair: PairPolicy) -> Iterator[Violation]:
    if pair.two_primaries == "propose-lowest-wal":
        yield _broken(
            "two_primaries", "propose-lowest-wal is not there yet", '"freeze" (it pages, and shows the evidence)'
        )


def _nodes(pair: PairPolicy, *, is_simulated: bool) -> Iterator[Violation]:
    for name, cluster in pair.clusters.items():
        path = f"cluster.{name}"
        if not cluster.nodes and _is_above_observe(pair):
            yield _broken(
                f"{path}.nodes",
                "empty, but a level is above observe",
                "the address of every node: a load balancer's address is never evidence, and never sent a mutation",
            )
        yield from _node_lists(path, cluster)
        if not is_simulated:
            continue
        for address in (*cluster.nodes, cluster.address):
            if not _is_loopback(address):
                yield _broken(
                    f"{path}.nodes",
                    f"{address} is not on loopback, and environment is not production",
                    'environment = "production" (demo and lab lift the limits that protect real data)',
                )
    both = [set(cluster.nodes) for cluster in pair.clusters.values()]
    for address in sorted(both[0] & both[1]):
        yield _broken(f"cluster.{pair.cluster_ids[1]}.nodes", f"{address} is in both clusters", "each node once")
    needed = pair.min_unsealed
    for name, cluster in pair.clusters.items():
        if isinstance(needed, int) and cluster.nodes and needed > len(cluster.probed_nodes):
            yield _broken(
                "policy.min_unsealed",
                f"{needed}, but {name} has {len(cluster.probed_nodes)} node(s) that count",
                '"quorum", or at most that many',
            )


def _node_lists(path: str, cluster: ClusterPolicy) -> Iterator[Violation]:
    for address in (node for node, count in Counter(cluster.nodes).items() if count > 1):
        yield _broken(f"{path}.nodes", f"{address} is listed twice", "each node once")
    if cluster.address in cluster.nodes:
        yield _broken(
            f"{path}.nodes",
            f"{cluster.address} is what clients use",
            "the nodes' own addresses: a load balancer without a node behind it is not a dead cluster",
        )
    for address in sorted(cluster.ignore - set(cluster.nodes)):
        yield _broken(f"{path}.ignore", f"{address} is not one of nodes", "spell it as in nodes")
    if cluster.nodes and not cluster.probed_nodes:
        yield _broken(f"{path}.ignore", "every node is ignored", "at least one node has to count")


def _is_loopback(address: str) -> bool:
    host = _host_of(address)
    return host in ("localhost", "::1") or host.startswith("127.")


def _fences(pair: PairPolicy) -> Iterator[Violation]:
    if pair.levels.failover is Level.OBSERVE:
        return
    for name, cluster in pair.clusters.items():
        if not cluster.fence.command and not cluster.fence.waived:
            yield _broken(
                f"cluster.{name}.fence",
                "missing, but failover is above observe",
                '{ command = [...], timeout = "10s", on_failure = "block" }, or { waived = "why there is none" }',
            )


def _credentials(pair: PairPolicy) -> Iterator[Violation]:
    ways, timing = pair.credentials, pair.timing
    if pair.levels.failover is not Level.OBSERVE and not ways.dr_operation_tokens and not ways.key_shares:
        yield _broken(
            "dr_operation_token",
            "no way in, but failover is above observe",
            '[ { file = "..." }, { file = "..." } ] (two, tried in order), or key_shares',
        )
    ttl_s, every_s = ways.token_ttl_s, ways.rotate_every_s
    if ttl_s is None and every_s is None:
        return
    if ttl_s is None or every_s is None:
        missing = "token_ttl" if ttl_s is None else "rotate_every"
        yield _broken(missing, "token_ttl and rotate_every belong together", "both, or neither")
    elif ttl_s - every_s < timing.credential_warn_s:
        yield _broken(
            "token_ttl",
            f"after a rotation every {every_s:g} s less than credential_warn ({timing.credential_warn_s:g} s) is left, "
            "so that warning would never end",
            f"at least {every_s + timing.credential_warn_s:g} s",
        )
    yield _broken("token_ttl" if ttl_s is not None else "rotate_every", "not there yet", MINTING_NOT_YET)


def _dns(pair: PairPolicy) -> Iterator[Violation]:
    wanted, given = set(pair.clusters), set(pair.dns_targets)
    for name in sorted(wanted - given):
        yield _broken("targets", f"{name} has none", f'{name} = "what {pair.record} shall name when {name} serves"')
    for name in sorted(given - wanted):
        yield _broken(f"targets.{name}", "no cluster of this pair", f"one of {', '.join(sorted(wanted))}")
    record = _bare(pair.record)
    targets = [_bare(target) for target in pair.dns_targets.values()]
    if len(set(targets)) != len(targets):
        yield _broken("targets", "both clusters have the same target", "a name of its own for each cluster")
    if record in targets:
        yield _broken("targets", f"{pair.record} would name itself", "the clusters' own names")
    for name, cluster in pair.clusters.items():
        hosts = {_bare(_host_of(address)) for address in (cluster.address, *cluster.nodes)}
        if record in hosts:
            yield _broken(
                "record",
                f"cluster.{name} is addressed by the service name itself, which moves",
                f"an address of {name} that stays where it is",
            )


def _host_of(address: str) -> str:
    """The host of "https://HOST:PORT", which is the only form that gets here."""
    return address.removeprefix("https://").rpartition(":")[0].strip("[]")


def _bare(name: str) -> str:
    return name.rstrip(".").lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Limit:
    key: str
    value: Callable[[Timing], float]
    holds: Callable[[Timing], bool]
    way_out: Callable[[Timing], str]
    in_simulation_too: bool = True


INTERVAL_S_MAX = 20.0  # the service manager ends a daemon of which a loop finishes no round in 30 s
_LIMITS: tuple[_Limit, ...] = (
    _Limit(
        key="interval",
        value=lambda t: t.interval_s,
        holds=lambda t: t.interval_s <= INTERVAL_S_MAX,
        way_out=lambda t: f"at most {INTERVAL_S_MAX:g} s: WatchdogSec=30s wants a round of every loop",
    ),
    _Limit(
        key="probe_timeout",
        value=lambda t: t.probe_timeout_s,
        holds=lambda t: t.probe_timeout_s < t.interval_s,
        way_out=lambda t: f"less than interval ({t.interval_s:g} s)",
    ),
    _Limit(
        key="down_after",
        value=lambda t: t.down_after_s,
        holds=lambda t: t.down_after_s >= DOWN_AFTER_S_MIN,
        way_out=lambda t: f"at least {DOWN_AFTER_S_MIN:g} s in production",
        in_simulation_too=False,
    ),
    _Limit(
        key="down_after",
        value=lambda t: t.down_after_s,
        holds=lambda t: t.down_after_s >= 3 * t.interval_s + t.probe_timeout_s,
        way_out=lambda t: f"at least 3 × interval + probe_timeout ({3 * t.interval_s + t.probe_timeout_s:g} s)",
    ),
    _Limit(
        key="down_rounds",
        value=lambda t: t.down_rounds,
        holds=lambda t: (t.down_rounds - 1) * t.interval_s <= t.down_after_s,
        way_out=lambda t: f"at most {int(t.down_after_s // t.interval_s) + 1}: (rounds − 1) × interval fits down_after",
    ),
    _Limit(
        key="up_rounds",
        value=lambda t: t.up_rounds,
        holds=lambda t: t.up_rounds >= UP_ROUNDS_MIN,
        way_out=lambda t: f"at least {UP_ROUNDS_MIN}: one good answer is no recovery",
    ),
    _Limit(
        key="gap_max",
        value=lambda t: t.gap_max_s,
        holds=lambda t: t.gap_max_s <= t.down_after_s / 3,
        way_out=lambda t: f"at most a third of down_after ({t.down_after_s / 3:g} s)",
    ),
    _Limit(
        key="gap_max",
        value=lambda t: t.gap_max_s,
        holds=lambda t: t.gap_max_s >= t.interval_s,
        way_out=lambda t: (
            f"at least interval ({t.interval_s:g} s): else the time between two looks is a gap, "
            "and no window is ever full"
        ),
    ),
    _Limit(
        key="heartbeat_stale_after",
        value=lambda t: t.heartbeat_stale_after_s,
        holds=lambda t: t.heartbeat_stale_after_s >= HEARTBEAT_STALE_S_MIN,
        way_out=lambda t: f"at least {HEARTBEAT_STALE_S_MIN:g} s: three of Vault's 5 s beats",
    ),
    _Limit(
        key="heartbeat_stale_after",
        value=lambda t: t.heartbeat_stale_after_s,
        holds=lambda t: t.heartbeat_stale_after_s <= t.down_after_s,
        way_out=lambda t: f"at most down_after ({t.down_after_s:g} s) in production",
        in_simulation_too=False,
    ),
    _Limit(
        key="stall_after",
        value=lambda t: t.stall_after_s,
        holds=lambda t: t.stall_after_s >= 2 * t.interval_s,
        way_out=lambda t: f"at least 2 × interval ({2 * t.interval_s:g} s)",
    ),
    _Limit(
        key="cold_start",
        value=lambda t: t.cold_start_s,
        holds=lambda t: t.cold_start_s >= t.down_after_s,
        way_out=lambda t: f"at least down_after ({t.down_after_s:g} s), which is its default",
    ),
    _Limit(
        key="link_down_alert",
        value=lambda t: t.link_down_alert_s,
        holds=lambda t: t.link_down_alert_s < t.link_down_heal_s,
        way_out=lambda t: f"less than link_down_heal ({t.link_down_heal_s:g} s)",
    ),
    _Limit(
        key="credential_warn",
        value=lambda t: t.credential_warn_s,
        holds=lambda t: t.credential_warn_s > t.credential_horizon_s,
        way_out=lambda t: f"more than credential_horizon ({t.credential_horizon_s:g} s)",
    ),
)


def _timing(timing: Timing, *, is_simulated: bool) -> Iterator[Violation]:
    for limit in _LIMITS:
        if is_simulated and not limit.in_simulation_too:
            continue
        if not limit.holds(timing):
            unit = "" if limit.key.endswith("_rounds") else " s"
            yield _broken(limit.key, f"is {limit.value(timing):g}{unit}", limit.way_out(timing))


def _notices(pair: PairPolicy) -> Iterator[Notice]:
    path = f"pair.{pair.pair}"
    levels = pair.levels
    if levels.accept_two_primaries_on_partition:
        yield Notice(
            path=f"{path}.levels.accept_two_primaries_on_partition",
            text="a primary that is cut off from us but not from its clients will be left running beside the new one",
        )
    for name, cluster in pair.clusters.items():
        where = f"{path}.cluster.{name}"
        if levels.failover is Level.AUTO and not pair.tells_a_partition(name):
            yield Notice(
                path=f"{where}.fence",
                text=f"while {name} is elected, failover acts as approve: nothing tells its death from a partition",
            )
        if cluster.fence.waived:
            yield Notice(path=f"{where}.fence", text=f"waived: {cluster.fence.waived}")
        if cluster.fence.on_failure is OnFenceFailure.PAGE_AND_GO_ON:
            yield Notice(path=f"{where}.fence", text="a fence that fails does not stop the failover")
        if not cluster.is_tls_verified:
            yield Notice(path=f"{where}.tls", text="certificates are not verified: anybody on the path can answer")
        yield from (Notice(path=f"{where}.ignore", text=f"{node} never counts") for node in sorted(cluster.ignore))
    if pair.timing.cooldown_s != Timing().cooldown_s:
        yield Notice(path=f"{path}.timing.cooldown", text="changes nothing yet: heal and rejoin are left to people")
    ways = pair.credentials.dr_operation_tokens + bool(pair.credentials.key_shares)
    if levels.failover is not Level.OBSERVE and ways == 1:
        yield Notice(path=f"{path}.credentials", text="one way in only: a second one is what an expired token is for")
