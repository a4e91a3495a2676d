"""The life of a pair by a person with curl, from its first enable to its end: what of the API the daemon never asks."""

from __future__ import annotations

from typing import Any

from tests.unit.lab.founding import Founder, founder

REPLICATION = "sys/replication/dr"
POLICY = "sys/policies/acl/kept"
ASKS = frozenset(
    {
        *(
            f"{REPLICATION}/primary/{verb}"
            for verb in ("enable", "secondary-token", "demote", "revoke-secondary", "disable")
        ),
        *(
            f"{REPLICATION}/secondary/{verb}"
            for verb in (
                "enable",
                "generate-operation-token/attempt",
                "generate-operation-token/update",
                "promote",
                "generate-public-key",
                "update-primary",
                "disable",
            )
        ),
        "sys/wrapping/unwrap",
        f"{REPLICATION}/status",
        "sys/init",
        "sys/unseal",
        "sys/seal-status",
        "sys/seal",
        "sys/rotate",
        "sys/metrics",
        "sys/license/status",
        "sys/config/reload/<name>",
        "sys/audit/<name>",
        "sys/policies/acl/<name>",
        "sys/replication/reindex",
        "sys/replication/recover",
    }
)


def whole_life(**knobs: Any) -> frozenset[str]:
    """Enable, look around, fail over, rejoin by a public key, revoke, disable. Returns what endpoints were asked."""
    f = founder(**knobs)
    _pair(f)
    _look_around(f)
    _fail_over(f)
    _rejoin(f)
    _part(f)
    return frozenset(f.a.world.asked)


def _issued(f: Founder, primary: str, **body: object) -> str:
    """An activation token; a new active node may want to be asked again. The same id again is refused."""
    said = f.post(primary, "primary/secondary-token", body, root="east")
    for _ in range(30):
        if said.status != 412:
            break
        f.a.wait(1)
        said = f.post(primary, "primary/secondary-token", body, root="east")
    assert said.status == 200, said.json
    assert f.post(primary, "primary/secondary-token", body, root="east").status >= 400
    return str(said.json["data"]["token"] if said.json["data"] else said.json["wrap_info"]["token"])


def _unseal(f: Founder) -> None:
    for target in (f"{cluster}/{number}" for cluster in ("east", "west") for number in (1, 2, 3)):
        if f.a.ask(target, "sys/seal-status").json["sealed"]:
            f.unseal(target, f.has["east"].keys)
    f.a.wait(5)


def _serving(f: Founder, cluster: str) -> str:
    node = f.a.world.clusters[cluster].serving()
    assert node is not None
    return node.target


def _streams(f: Founder, secondary: str) -> bool:
    shown = f.a.ask(_serving(f, secondary), f"{REPLICATION}/status").data
    return (shown["mode"], shown["state"], shown["connection_state"]) == ("secondary", "stream-wals", "ready")


def _pair(f: Founder) -> None:
    assert f.enable_primary().status == 200
    assert f.post("east", "primary/enable", {}, root="east").status >= 400, "it is enabled"
    assert f.enable_secondary(_issued(f, "east", id="west-1")).status == 200
    _unseal(f)
    assert _streams(f, "west")
    said = f.a.ask("east/1", POLICY, "PUT", token=f.has["east"].root, body={"policy": 'path "a" {}'})
    assert said.status in (200, 204)


def _look_around(f: Founder) -> None:
    root = f.has["east"].root
    assert f.a.ask("east/1", "sys/rotate", "PUT", token=root).status == 204
    assert f.a.ask("east/1", "sys/license/status", token=root).status == 200
    assert f.a.ask("east/1", "sys/config/reload/license", "PUT", token=root).status in (200, 204)
    assert f.a.ask("east/1", "sys/audit/a", "PUT", token=root, body={"type": "paper"}).status == 400
    assert f.a.ask("east/1", "sys/replication/reindex", "PUT", token=root, body={}).status == 200
    assert f.a.ask("east/1", "sys/replication/recover", "PUT", token=root, body={}).status < 500
    assert f.a.ask("west/1", "sys/metrics").status < 500
    f.a.wait(10)
    assert f.a.ask("east/2", "sys/seal", "PUT", token=root).status == 204
    f.a.wait(5)
    assert f.a.world.active_primaries() == ("east",), "one sealed node ends no cluster"
    _unseal(f)


def _fail_over(f: Founder) -> None:
    f.a.wait(10)
    assert f.a.post(_serving(f, "east"), f"{REPLICATION}/primary/demote", {}, token=f.has["east"].root).status == 200
    f.a.wait(5)
    assert f.operate("west", "secondary/promote").status == 200
    assert f.a.world.active_primaries() == ("west",)
    assert f.a.ask("west/1", POLICY, token=f.has["east"].root).data["policy"] == 'path "a" {}', (
        "what was there is there"
    )


def _rejoin(f: Founder) -> None:
    root, east = f.has["east"].root, _serving(f, "east")
    key = f.a.post(east, f"{REPLICATION}/secondary/generate-public-key", {}, token=root).data["secondary_public_key"]
    activation = _issued(f, "west", id="east-1", secondary_public_key=key)
    assert f.operate("east", "secondary/update-primary", token=activation).status == 200
    f.a.wait(20)
    assert _streams(f, "east")


def _part(f: Founder) -> None:
    late = _issued(f, "west", id="late")
    for name in ("late", "east-1"):
        assert f.post("west", "primary/revoke-secondary", {"id": name}, root="east").status in (200, 204)
    f.operate("east", "secondary/update-primary", token=late)
    f.a.wait(30)
    assert f.a.ask(_serving(f, "east"), f"{REPLICATION}/status").data["connection_state"] != "ready", "it is revoked"
    assert f.operate("east", "secondary/disable").status == 200
    assert f.post("west", "primary/disable", {}, root="east").status == 200
    f.a.wait(10)
    assert [f.status(cluster)["mode"] for cluster in ("east", "west")] == ["disabled", "disabled"]
