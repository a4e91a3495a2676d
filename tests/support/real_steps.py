"""The whole life of a failover, written once for every ground: a pair is set up by its API, its primary is killed,
`watchdogd run` fails over and moves the name, the previous primary returns, is demoted, and is made to follow.

What needs replication names the endpoints that it needs: on a ground without it each of them is asked for and has to be
refused as such, and `instead` says what must hold there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.live_pair import closed_gates, happened, is_ready, write_secret
from tests.support.real_pair import CLUSTERS, nodes_of
from tests.support.real_stage import DR, SHARES, THRESHOLD, Stage
from watchdogd.lab.events import What

POLICY_FILE = Path(__file__).parents[2] / "config" / "policies" / "watchdogd-dr.hcl"
ROLE, OPERATORS = "watchdogd-dr", "operators"
STANDBY = (429, 473)  # 473 where the licence has performance standbys
DR_SECONDARY, FAILED_OVER_S, LOOKS = 472, 90.0, 5
SILENT_S = 11.0  # longer than `down_after` of the config
FOLLOWS, ACTIVE, SILENT, SEALED = "follows", "active", "silent", "sealed"
Act = Callable[[Stage], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that is done and looked at. `needs`: the replication endpoints that it cannot do without."""

    name: str
    act: Act
    needs: Sequence[str] = ()
    instead: Act | None = None


# ------------------------------------------------------------------------------------------------------- two clusters


async def begin(stage: Stage) -> None:
    for cluster in CLUSTERS:
        for target in nodes_of(cluster):
            await stage.until_health(target, 501)


async def initialise(stage: Stage) -> None:
    wanted = {"secret_shares": SHARES, "secret_threshold": THRESHOLD}
    for cluster in CLUSTERS:
        made = await stage.done(f"{cluster}/1", "sys/init", wanted, token="")
        stage.keys[cluster], stage.tokens[cluster] = made["keys_base64"], made["root_token"]
        assert len(stage.keys[cluster]) == SHARES
        assert (await stage.curl(f"{cluster}/1", "sys/init", "PUT", wanted)).status == 400, "it is initialised already"


async def unseal_the_first(stage: Stage) -> None:
    for cluster in CLUSTERS:
        await stage.unseal(f"{cluster}/1", cluster)
    for cluster in CLUSTERS:
        await stage.until_health(f"{cluster}/1", 200)


async def join(stage: Stage) -> None:
    quick = {"server_stabilization_time": "1s", "min_quorum": 3}
    authority = stage.ground.authority
    for cluster in CLUSTERS:
        first, *joining = nodes_of(cluster)
        await stage.done(first, "sys/storage/raft/autopilot/configuration", quick, token=cluster)
        for target in joining:
            asked = {"leader_api_addr": stage.ground.url(first), "leader_ca_cert": authority, "retry": False}
            await stage.done(target, "sys/storage/raft/join", asked, token="")
            await stage.unseal(target, cluster)
        for target in joining:
            await stage.until_health(target, *STANDBY)


async def vote(stage: Stage) -> None:
    """Autopilot says so. On a DR secondary it answers to an operation token (APIRAFT), elsewhere to root."""
    for cluster in CLUSTERS:
        is_secondary = (await stage.replication(cluster)).get("mode") == "secondary"
        token = stage.dr_token if is_secondary else cluster
        asked = partial(stage.get, stage.actives[cluster], "sys/storage/raft/autopilot/state", token=token)

        async def is_tolerant(asked: Callable[[], Awaitable[Any]] = asked) -> bool:
            told = await asked()
            return bool(told["data"]["failure_tolerance"] == 1 and told["data"]["healthy"])

        await stage.until(is_tolerant, f"all nodes of {cluster} vote")


# ----------------------------------------------------------------------------------------------- what an operator makes


async def write_policy(stage: Stage) -> None:
    text = POLICY_FILE.read_text(encoding="utf-8")
    await stage.done("east/1", f"sys/policies/acl/{ROLE}", {"policy": text})
    assert (await stage.get("east/1", f"sys/policies/acl/{ROLE}"))["data"]["policy"].strip() == text.strip()


async def log_in_by_approle(stage: Stage) -> None:
    role = f"auth/approle/role/{OPERATORS}"
    await stage.done("east/1", "sys/auth/approle", {"type": "approle"})
    await stage.done("east/1", role, {"token_policies": [ROLE], "token_ttl": "20m"})
    role_id = (await stage.get("east/1", f"{role}/role-id"))["data"]["role_id"]
    secret_id = (await stage.done("east/1", f"{role}/secret-id"))["data"]["secret_id"]
    login = await stage.done("east/1", "auth/approle/login", {"role_id": role_id, "secret_id": secret_id}, token="")
    token = login["auth"]["client_token"]
    assert ROLE in (await stage.get("east/1", "auth/token/lookup-self", token=token))["data"]["policies"]
    assert (await stage.curl("east/1", f"sys/policies/acl/{ROLE}", token=token)).status == 403, "it may no more"


async def mint_operation_tokens(stage: Stage) -> None:
    """As section 6 of the manual says."""
    role = {"allowed_policies": ROLE, "orphan": True, "renewable": False, "token_type": "batch"}
    await stage.done("east/1", f"auth/token/roles/{ROLE}", role)
    for name in ("dr_token_a", "dr_token_b"):
        made = (await stage.done("east/1", f"auth/token/create/{ROLE}", {"ttl": "720h"}))["auth"]
        stage.dr_token = made["client_token"]
        write_secret(stage.world.folder / name, stage.dr_token)
        assert (made["token_type"], made["renewable"], made["orphan"]) == ("batch", False, True)
        assert made["lease_duration"] == 720 * 3600


async def write_data(stage: Stage) -> None:
    await stage.done("east/1", "sys/mounts/kv", {"type": "kv", "options": {"version": "1"}})
    await stage.done("east/1", "kv/before", {"value": "of east"})
    assert (await stage.get("east/1", "kv/before"))["data"] == {"value": "of east"}


# ------------------------------------------------------------------------------------------------------------ the pair


async def enable_primary(stage: Stage) -> None:
    await stage.done("east/1", f"{DR}/primary/enable")
    await stage.until_replication("east", mode="primary", state="running")


async def enable_secondary(stage: Stage) -> None:
    """West is wiped, and opens with the keys of east from then on; its standbys seal themselves (TC)."""
    wrapped = await stage.done("east/1", f"{DR}/primary/secondary-token", {"id": "west-1"})
    asked = {"token": wrapped["wrap_info"]["token"], "ca_file": stage.ground.ca_file}
    await stage.done("west/1", f"{DR}/secondary/enable", asked, token="west")
    await stage.until_replication("west", mode="secondary", secondary_id="west-1", state="stream-wals")
    seen: list[bool] = []  # in the last looks; a node may seal itself after it answered well

    async def are_secondaries() -> bool:
        healths = {target: await stage.health(target) for target in nodes_of("west")}
        for target in (target for target, status in healths.items() if status == 503):
            await stage.unseal(target, "east")
        seen.append(set(healths.values()) == {DR_SECONDARY})
        return all(seen[-LOOKS:]) and len(seen) >= LOOKS

    await stage.until(are_secondaries, "every node of west is open and a DR secondary")


async def agree(stage: Stage) -> None:
    east = await stage.until_replication("east", mode="primary")
    west = await stage.until_replication("west", connection_state="ready", cluster_id=east["cluster_id"])
    assert "west-1" in east["known_secondaries"]
    assert west["known_primary_cluster_addrs"], "it knows where its primary is"
    await in_step(stage, "east", "west")


async def in_step(stage: Stage, primary: str, secondary: str) -> None:
    """Both show the same root: the same data."""

    async def holds() -> bool:
        first, second = await stage.replication(primary), await stage.replication(secondary)
        return bool(first.get("merkle_root")) and first.get("merkle_root") == second.get("merkle_root")

    await stage.until(holds, f"{primary} and {secondary} have the same data")


# -------------------------------------------------------------------------------------------------------- the daemon


async def watch(stage: Stage) -> None:
    await stage.write_config()
    await stage.start_daemon()
    for cluster in CLUSTERS:
        await stage.until_read(**as_read(stage, cluster))


def as_read(stage: Stage, cluster: str) -> dict[str, str]:
    """What the daemon should read at a cluster that is well."""
    return {
        target.replace("/", "_"): ACTIVE if target == stage.actives[cluster] else FOLLOWS
        for target in nodes_of(cluster)
    }


async def seal_a_standby(stage: Stage) -> None:
    await stage.done("east/3", "sys/seal")
    await stage.until_read(east_3=SEALED)
    await stage.unseal("east/3", "east")
    await stage.until_read(east_3=FOLLOWS)


async def step_down(stage: Stage) -> None:
    """Another node becomes active; the daemon follows, and starts nothing."""
    before = await stage.until_active("east")
    await stage.done(before, "sys/step-down")

    async def has_moved() -> bool:
        return await stage.active_of("east") not in ("", before)

    await stage.until(has_moved, "another node of east is active")
    await stage.until_active("east")
    await stage.until_read(**as_read(stage, "east"))
    assert await runs(stage) == []


async def kill_a_standby(stage: Stage) -> None:
    active = await stage.until_active("east")
    killed = next(target for target in nodes_of("east") if target != active)
    name = killed.replace("/", "_")
    stage.ground.kill(killed)
    await stage.until_read(**{name: SILENT})
    stage.ground.start(killed)
    await stage.until_read(**{name: SEALED})
    await stage.unseal(killed, "east")
    await stage.until_read(**{name: FOLLOWS})
    assert await runs(stage) == []


async def runs(stage: Stage) -> list[str]:
    """The runbooks that the daemon began so far."""
    _, told = await stage.daemon.get("/history?limit=1000")
    return [entry["entry"]["runbook"] for entry in told["entries"] if entry["kind"] == "run_opened"]


async def be_ready(stage: Stage) -> None:
    await stage.daemon.until(is_ready, timeout_s=FAILED_OVER_S * stage.ground.patience)


async def not_be_ready(stage: Stage) -> None:
    """It sees no replication, and says so instead of believing in a pair."""
    explained = await stage.daemon.until(lambda e: e["situation"] == "S-02", timeout_s=FAILED_OVER_S)
    assert (explained["phase"], explained["decision"]["todo"]) == ("steady", [])
    assert {"ids", "unseen-primary"} <= closed_gates(explained)


# ------------------------------------------------------------------------------------------------------- the failover


async def kill_the_primary(stage: Stage) -> None:
    for target in nodes_of("east"):
        stage.ground.kill(target)
    await stage.until_read(east_1=SILENT, east_2=SILENT, east_3=SILENT)


async def fail_over(stage: Stage) -> None:
    """Promoted once, by the daemon; the name follows."""
    limit_s = FAILED_OVER_S * stage.ground.patience
    await stage.world.seen(happened(What.NAME_PUBLISHED, cluster="west"), timeout_s=limit_s)
    await stage.until_replication("west", mode="primary", state="running")
    begun = await runs(stage)
    assert begun.count("failover") == 1, begun
    await stage.until_health(await stage.until_active("west"), 200)


async def do_nothing(stage: Stage) -> None:
    """No promotion is possible, and none is tried, however long the silence of a primary would have to last."""
    clock = asyncio.get_running_loop()
    end_s = clock.time() + SILENT_S
    while clock.time() < end_s:
        await leave_all_alone(stage)
        await asyncio.sleep(1.0)


async def leave_all_alone(stage: Stage) -> None:
    assert await runs(stage) == []
    assert not stage.world.events(What.NAME_CHANGED)
    assert stage.world.lab.names.published_cluster(stage.world.lab.now_s()) == "east"


async def serve_the_data(stage: Stage) -> None:
    """The root token and the data of east, on west; and one write more."""
    west = stage.actives["west"]
    assert (await stage.get(west, "kv/before"))["data"] == {"value": "of east"}
    await stage.done(west, "kv/after", {"value": "of west"})


async def return_the_primary(stage: Stage) -> None:
    """Its processes come back sealed, as an operator finds them, and are unsealed with the shares of east."""
    for target in nodes_of("east"):
        stage.ground.start(target)
    for target in nodes_of("east"):
        await stage.until_health(target, 503)
    for target in nodes_of("east"):
        await stage.unseal(target, "east")
    for target in nodes_of("east"):
        await stage.until_health(target, 200, *STANDBY, DR_SECONDARY)


async def settle_the_debt(stage: Stage) -> None:
    """The daemon demotes what came back; nothing else changes sides."""
    limit_s = FAILED_OVER_S * stage.ground.patience
    await stage.daemon.until(lambda e: e["facts"]["debts"] == [] and e["facts"]["run"] is None, timeout_s=limit_s)
    await stage.until_replication("east", mode="secondary")
    assert (await stage.replication("west"))["mode"] == "primary"
    assert sorted(await runs(stage)) == ["cutover-dns", "failover", "settle-debt"]


async def keep_the_data(stage: Stage) -> None:
    east = await stage.until_active("east")
    assert (await stage.get(east, "kv/before"))["data"] == {"value": "of east"}
    await stage.until_read(**as_read(stage, "east"))
    await leave_all_alone(stage)


async def rejoin(stage: Stage) -> None:
    """By hand, with the commands of section 5 of the manual."""
    west, east = await stage.until_active("west"), await stage.until_active("east")
    wrapped = await stage.done(west, f"{DR}/primary/secondary-token", {"id": "east-1"})
    asked = {
        "dr_operation_token": stage.dr_token,
        "token": wrapped["wrap_info"]["token"],
        "primary_api_addr": stage.ground.url(west),
        "ca_file": stage.ground.ca_file,
    }
    await stage.done(east, f"{DR}/secondary/update-primary", asked, token="")
    await stage.until_replication("east", mode="secondary", state="stream-wals", connection_state="ready")


async def be_a_pair_again(stage: Stage) -> None:
    await in_step(stage, "west", "east")
    limit_s = FAILED_OVER_S * stage.ground.patience
    calm = await stage.daemon.until(lambda e: e["situation"] == "S-10", timeout_s=limit_s)
    assert (calm["facts"]["elected"], calm["facts"]["epoch"]) == ("west", 1)


async def end(stage: Stage) -> None:
    assert await stage.daemon.terminate() == 0
    assert [line for line in stage.daemon.log if line["event"] in ("run_broke", "loop_died")] == []


STATUS, TOKEN, PROMOTE = f"{DR}/status", f"{DR}/primary/secondary-token", f"{DR}/secondary/promote"
STEPS: Sequence[Step] = (
    Step(name="start six nodes", act=begin),
    Step(name="initialise two clusters", act=initialise),
    Step(name="unseal a node of each", act=unseal_the_first),
    Step(name="join the rest", act=join),
    Step(name="write the policy", act=write_policy),
    Step(name="log in by AppRole", act=log_in_by_approle),
    Step(name="mint batch tokens", act=mint_operation_tokens),
    Step(name="write data", act=write_data),
    Step(name="enable the primary", act=enable_primary, needs=(f"{DR}/primary/enable",)),
    Step(name="enable the secondary", act=enable_secondary, needs=(TOKEN, f"{DR}/secondary/enable")),
    Step(name="agree", act=agree, needs=(STATUS,)),
    Step(name="watch every node", act=watch),
    Step(name="have three votes", act=vote),
    Step(name="seal a standby", act=seal_a_standby),
    Step(name="step down", act=step_down),
    Step(name="kill a standby", act=kill_a_standby),
    Step(name="be ready", act=be_ready, needs=(STATUS,), instead=not_be_ready),
    Step(name="kill the primary", act=kill_the_primary),
    Step(name="fail over", act=fail_over, needs=(PROMOTE,), instead=do_nothing),
    Step(name="serve the data", act=serve_the_data, needs=(STATUS,)),
    Step(name="return the primary", act=return_the_primary),
    Step(name="settle the debt", act=settle_the_debt, needs=(f"{DR}/primary/demote",), instead=keep_the_data),
    Step(name="rejoin", act=rejoin, needs=(TOKEN, f"{DR}/secondary/update-primary")),
    Step(name="be a pair again", act=be_a_pair_again, needs=(STATUS,)),
    Step(name="end", act=end),
)


# ------------------------------------------------------------------------------------------------ without replication


async def refused(stage: Stage, step: Step) -> None:
    """The ground says of each endpoint that it has none, to somebody who may do everything; then what holds instead."""
    target = await stage.active_of("west")
    for path in step.needs:
        method = "GET" if path == STATUS else "POST"
        answer = await stage.curl(target, path, method, None if method == "GET" else {}, token="west")
        assert answer.status == 404, f"{path}: {answer}"
        assert "unsupported path" in str(answer.body["errors"]), f"{path}: {answer}"
    if step.instead is not None:
        await step.instead(stage)
