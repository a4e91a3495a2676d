"""Raft: peers that go and come back, autopilot of each cluster, snapshots that are restored or refused.

What a single request answers is in tests/real/test_openbao.py, beside what a real server says to it.
"""

import gzip
import hashlib
import io
import json
import tarfile

import pytest

from tests.unit.lab.asking import PROMOTE, Asker, Said, asker

AUTOPILOT = "sys/storage/raft/autopilot/configuration"
PEERS, REMOVE, JOIN = (f"sys/storage/raft/{verb}" for verb in ("configuration", "remove-peer", "join"))
SNAPSHOT, FORCE = "sys/storage/raft/snapshot", "sys/storage/raft/snapshot-force"


def ask(a: Asker, path: str, method: str = "GET", body: object = None, target: str = "east/1") -> Said:
    return a.ask(target, path, method, token=a.has["root_token"], body=body)


def peers(a: Asker) -> list[str]:
    return [server["node_id"] for server in ask(a, PEERS).data["config"]["servers"]]


def saved(a: Asker, target: str = "east/1") -> bytes:
    said = ask(a, SNAPSHOT, target=target)
    assert (said.status, said.exchange.headers["Content-Type"]) == (200, "application/gzip")
    return said.exchange.body


def files(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(archive))) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar.getmembers()}


def packed(parts: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, raw in parts.items():
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            tar.addfile(info, io.BytesIO(raw))
    return gzip.compress(buffer.getvalue())


# ------------------------------------------------------------------------------------------------------------- peers


def test_a_peer_that_is_removed_knows_it_and_joins_again() -> None:
    a = asker()
    assert ask(a, REMOVE, "POST", {"server_id": "east-3"}).status == 204
    a.wait(1)
    assert peers(a) == ["east-1", "east-2"]
    assert a.ask("east/3", "sys/health").status == 530
    assert ask(a, AUTOPILOT.replace("configuration", "state")).data["failure_tolerance"] == 0
    assert a.post("east/3", JOIN, {"leader_api_addr": "https://127.3.1.1:8200"}).json == {"joined": True}
    a.wait(3)
    assert peers(a) == ["east-1", "east-2", "east-3"]
    assert a.ask("east/3", "sys/health").status == 473


def test_an_active_node_that_is_removed_leaves_the_cluster_to_the_others() -> None:
    a = asker()
    ask(a, REMOVE, "POST", {"server_id": "east-1"})
    a.wait(6)
    assert a.world.clusters["east"].serving().target == "east/2"


def test_a_peer_of_a_dr_secondary_is_removed_with_the_token_in_the_body() -> None:
    a = asker()
    said = ask(a, REMOVE, "POST", {"server_id": "west-3"}, target="west/1")
    assert (said.status, said.errors) == (400, ["path disabled in replication DR secondary mode"])
    policy = f'path "{REMOVE}" {{ capabilities = ["update"] }}'
    ask(a, "sys/policies/acl/remover", "PUT", {"policy": policy})
    body = {"policies": ["remover"], "type": "batch", "ttl": "1h"}
    token = ask(a, "auth/token/create-orphan", "POST", body).json["auth"]["client_token"]
    a.wait(2)
    body = {"server_id": "west-3", "dr_operation_token": a.has["dr_token_a"]}
    assert a.post("west/1", REMOVE, body).status == 403, f"a token for {PROMOTE} is none for this"
    assert a.post("west/1", REMOVE, body | {"dr_operation_token": token}).status == 204
    a.wait(1)
    assert a.ask("west/3", "sys/health").status == 530


def test_each_cluster_has_an_autopilot_of_its_own() -> None:
    a = asker()
    assert ask(a, AUTOPILOT, "POST", {"max_trailing_logs": 5000, "last_contact_threshold": "90s"}).status == 204
    data = ask(a, AUTOPILOT).data
    assert (data["max_trailing_logs"], data["last_contact_threshold"]) == (5000, "1m30s")
    assert a.ask("west/1", AUTOPILOT, token=a.has["root_token"]).status == 403, "no operation token"
    a.wait(2)
    a.fail_over("east", "west")
    assert ask(a, AUTOPILOT, target="west/1").data["max_trailing_logs"] == 1000


# --------------------------------------------------------------------------------------------------------- snapshots


def test_a_snapshot_is_an_archive_that_can_be_verified() -> None:
    a = asker()
    parts = files(saved(a))
    assert list(parts) == ["meta.json", "state.bin", "SHA256SUMS", "SHA256SUMS.sealed"]
    assert parts["SHA256SUMS.sealed"]
    sums = dict(reversed(line.split("  ")) for line in parts["SHA256SUMS"].decode().splitlines())
    assert sums == {name: hashlib.sha256(parts[name]).hexdigest() for name in ("meta.json", "state.bin")}
    meta = json.loads(parts["meta.json"])
    assert meta["Size"] == len(parts["state.bin"])
    assert [server["ID"] for server in meta["Configuration"]["Servers"]] == ["east-1", "east-2", "east-3"]


def test_a_standby_sends_whoever_wants_a_snapshot_to_the_active_node() -> None:
    said = ask(asker(), SNAPSHOT, target="east/2")
    assert said.status == 307
    assert said.exchange.headers["Location"] == "https://127.3.1.1:8200/v1/sys/storage/raft/snapshot"


def test_what_was_there_at_the_time_of_a_snapshot_is_there_after_its_restore_and_goes_over_to_the_secondary() -> None:
    a = asker()
    ask(a, "secret/data/x", "POST", {"data": {"n": 1}})
    ask(a, "secret/data/x", "POST", {"data": {"n": 2}})
    before = ask(a, "secret/metadata/x").data
    archive = saved(a)
    ask(a, "secret/metadata/x", "DELETE")
    ask(a, "secret/data/later", "POST", {"data": {}})
    ask(a, "sys/mounts/later", "POST", {"type": "kv"})
    assert ask(a, SNAPSHOT, "POST", archive).status == 204
    assert ask(a, "secret/metadata/x").data == before
    assert ask(a, "secret/data/x?version=1").data["data"] == {"n": 1}
    assert ask(a, "secret/data/later").status == 404
    assert ask(a, "sys/mounts/later").status == 400
    a.wait(2)
    a.fail_over("east", "west")
    assert ask(a, "secret/metadata/x", target="west/1").data == before
    assert ask(a, "secret/data/later", target="west/1").status == 404


def test_a_snapshot_of_other_keys_is_restored_by_force_only() -> None:
    strange = saved(asker(seed=2))
    a = asker()
    said = ask(a, SNAPSHOT, "POST", strange)
    assert said.status == 400
    assert said.errors[0].startswith("could not verify hash file, possibly the snapshot is using a different set")
    assert ask(a, FORCE, "POST", strange).status == 204
    assert ask(a, "sys/mounts").status == 403, "its tokens came with it, and ours went"


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda parts: parts | {"SHA256SUMS.sealed": b""}, "incomplete snapshot"),
        (lambda parts: parts | {"state.bin": b"{}"}, "failed checking integrity"),
        (lambda parts: {"meta.json": parts["meta.json"]}, "failed to read snapshot file"),
    ],
)
def test_an_archive_that_is_not_whole_is_refused_and_changes_nothing(spoil: object, text: str) -> None:
    a = asker()
    ask(a, "secret/data/x", "POST", {"data": {"n": 1}})
    said = ask(a, FORCE, "POST", packed(spoil(files(saved(a)))))
    assert (said.status, text in said.errors[0]) == (500, True)
    assert ask(a, "secret/data/x").data["data"] == {"n": 1}


def test_bytes_that_are_no_archive_are_refused() -> None:
    a = asker()
    for junk in (b"", b"junk", b"x" * 500, saved(a)[:200], gzip.compress(b"no tar")):
        assert (
            ask(a, SNAPSHOT, "POST", junk).errors[0].startswith("1 error occurred:\n\t* failed to decompress snapshot")
        )


def test_a_dr_secondary_gives_no_snapshot_and_takes_none() -> None:
    a = asker()
    for method, path in (("GET", SNAPSHOT), ("POST", SNAPSHOT), ("POST", FORCE)):
        said = ask(a, path, method, b"x", target="west/1")
        assert (said.status, said.errors) == (400, ["path disabled in replication DR secondary mode"])
