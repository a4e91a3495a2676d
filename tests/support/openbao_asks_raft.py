"""What a real OpenBao and the lab are both asked of raft: autopilot, peers, snapshots that are none."""

from __future__ import annotations

from tests.support.asking_both import Ask

AUTOPILOT = "/v1/sys/storage/raft/autopilot/configuration"
WANTED = {
    "cleanup_dead_servers": True,
    "dead_server_last_contact_threshold": "25h",
    "last_contact_threshold": "10s",
    "max_trailing_logs": "2000",
    "min_quorum": 3,
    "server_stabilization_time": "1s",
}


def raft(name: str, path: str, method: str = "GET", body: object = None, **more: object) -> Ask:
    return Ask(name=name, path=f"/v1/sys/storage/raft/{path}", method=method, body=body, **more)  # type: ignore[arg-type]


def autopilot(name: str, body: object) -> Ask:
    return Ask(name=f"autopilot {name}", path=AUTOPILOT, method="POST", body=body)


RAFT = (
    autopilot("configured", WANTED),
    Ask(name="autopilot configuration", path=AUTOPILOT),
    Ask(name="autopilot configuration without a token", path=AUTOPILOT, token=""),
    autopilot("with too small a quorum", {"min_quorum": 2}),
    autopilot("with no duration", {"last_contact_threshold": "x"}),
    autopilot("with no number", {"max_trailing_logs": "x"}),
    autopilot("with no boolean", {"cleanup_dead_servers": "x"}),
    Ask(name="autopilot configuration deleted", path=AUTOPILOT, method="DELETE"),
    raft("join again", "join", "POST", {"leader_api_addr": "https://127.0.0.1:1"}, token="", standby=True),
    raft("join read", "join", token=""),
    raft("remove nobody named", "remove-peer", "POST", {}),
    raft("remove nobody known", "remove-peer", "POST", {"server_id": "nobody"}),
    raft("remove without a token", "remove-peer", "POST", {"server_id": "nobody"}, token=""),
    raft("snapshot without a token", "snapshot", token=""),
    raft("restore nothing", "snapshot", "POST", ""),
    raft("restore junk", "snapshot", "POST", "junk"),
    raft("restore junk by force", "snapshot-force", "POST", "junk"),
    raft("restore without a token", "snapshot", "POST", "junk", token=""),
    raft("snapshot deleted", "snapshot", "DELETE"),
    raft("no such raft", "nothing"),
)
