"""A performance secondary: what goes over to it and what does not, its own tokens, and the writes that it hands on."""

import pytest

from tests.unit.lab.asking import Asker, Said, asker
from tests.unit.lab.founding import founder, generated_root
from watchdogd.lab.clients import SimClient
from watchdogd.lab.faults import FaultKind

STATUS = "sys/replication/performance/status"
PROMOTE = "sys/replication/performance/secondary/promote"
DATA = {"data": {"number": 1}}


def pair(**knobs: object) -> Asker:
    return asker(kind="performance", **knobs)


def write(a: Asker, target: str, path: str = "secret/data/x", *, token: str | None = None) -> Said:
    own = "client_token" if target.startswith("east") else "client_token_west"
    return a.ask(target, path, "POST", token=token or a.has[own], body=DATA, place="clients")


def read(a: Asker, target: str, path: str = "secret/data/x", *, by: str = "root_token") -> Said:
    return a.ask(target, path, token=a.has[by])


# ------------------------------------------------------------------------------------------------- what goes over


def test_a_write_of_the_primary_is_read_on_the_secondary() -> None:
    a = pair()
    assert write(a, "east/1").status == 200
    a.wait(1)
    assert read(a, "west/1", by="root_token_west").data["data"] == {"number": 1}
    assert a.ask("west/1", STATUS).data["merkle_root"] == a.ask("east/1", STATUS).data["merkle_root"]


def test_no_service_token_of_the_primary_is_known_on_the_secondary_and_none_of_the_secondary_on_the_primary() -> None:
    a = pair()
    assert read(a, "west/1", "auth/token/lookup-self").status == 403
    assert read(a, "east/1", "auth/token/lookup-self", by="root_token_west").status == 403
    assert read(a, "west/1", "auth/token/lookup-self", by="root_token_west").status == 200


def test_an_orphan_batch_token_is_known_on_both_and_one_with_a_parent_only_where_the_parent_is() -> None:
    """TOKDOC: "Can be used across Performance Replication clusters: yes, if orphan"."""
    a = pair()
    body = {"type": "batch", "policies": ["clients"]}
    child = a.post("east/1", "auth/token/create", body, token=a.has["root_token"]).json["auth"]["client_token"]
    orphan = a.post("east/1", "auth/token/create-orphan", body, token=a.has["root_token"]).json["auth"]["client_token"]
    a.wait(1)
    assert [write(a, "east/1", token=token).status for token in (child, orphan)] == [200, 200]
    assert [write(a, "west/1", token=token).status for token in (child, orphan)] == [403, 200]


def test_a_token_counts_for_the_log_and_for_dr_and_not_for_performance() -> None:
    a = pair()
    before = a.ask("east/1", STATUS).data
    a.post("east/1", "auth/token/create", {}, token=a.has["root_token"])
    after = a.ask("east/1", STATUS).data
    assert after["last_wal"] > before["last_wal"]
    assert after["last_performance_wal"] == before["last_performance_wal"]
    assert after["merkle_root"] == before["merkle_root"]
    d = asker()
    before = d.ask("east/1", "sys/replication/dr/status").data
    d.post("east/1", "auth/token/create", {}, token=d.has["root_token"])
    after = d.ask("east/1", "sys/replication/dr/status").data
    assert after["last_dr_wal"] == after["last_wal"] > before["last_dr_wal"]


def test_a_local_mount_stays_on_its_cluster_and_two_may_have_the_same_path() -> None:
    a = pair()
    for target, token in (("east/1", "root_token"), ("west/1", "root_token_west")):
        mount = {"type": "kv", "options": {"version": "1"}, "local": True}
        assert a.post(target, "sys/mounts/here", mount, token=a.has[token]).status == 204
        said = a.ask(target, "here/x", "POST", token=a.has[token], body={"of": target}, place="clients")
        assert said.status == 204
    a.wait(2)
    assert read(a, "east/1", "here/x").data == {"of": "east/1"}
    assert read(a, "west/1", "here/x", by="root_token_west").data == {"of": "west/1"}
    assert a.world.counts.acknowledged_writes == 0  # nobody was promised that another cluster has it
    assert a.ask("west/1", STATUS).data["merkle_root"] == a.ask("east/1", STATUS).data["merkle_root"]


@pytest.mark.parametrize("is_cut", [False, True])
def test_a_local_mount_where_the_primary_shares_one_stops_replication_until_one_of_them_goes(is_cut: bool) -> None:
    """Failure mode 16, by the stream and by a sync."""
    a = pair(shipper_entries=4)
    a.post("west/1", "sys/mounts/here", {"type": "kv", "local": True}, token=a.has["root_token_west"])
    a.post("west/1", "here/x", {"of": "west"}, token=a.has["root_token_west"])
    cut = a.fault(FaultKind.DROP, "repl:west>east") if is_cut else None
    assert a.post("east/1", "sys/mounts/here", {"type": "kv"}, token=a.has["root_token"]).status == 204
    a.post("east/1", "here/x", {"of": "east"}, token=a.has["root_token"])
    for n in range(10 if is_cut else 0):
        write(a, "east/1", f"secret/data/{n}")
    a.wait(5)
    if cut is not None:
        a.world.faults.clear(cut)
        a.wait(10)
    shown = a.ask("west/1", STATUS).data
    assert (shown["state"], shown["connection_state"]) == ("idle", "ready")
    write(a, "east/1")
    a.wait(30)
    assert read(a, "west/1", by="root_token_west").status == 404
    assert read(a, "west/1", "here/x", by="root_token_west").data == {"of": "west"}
    a.ask("west/1", "sys/mounts/here", "DELETE", token=a.has["root_token_west"])
    a.wait(10)
    assert a.ask("west/1", STATUS).data["state"] == "stream-wals"
    assert read(a, "west/1", "here/x", by="root_token_west").data == {"of": "east"}
    assert read(a, "west/1", by="root_token_west").status == 200
    assert a.ask("west/1", STATUS).data["merkle_root"] == a.ask("east/1", STATUS).data["merkle_root"]


def test_a_local_mount_and_every_token_go_over_dr() -> None:
    a = asker()
    a.post("east/1", "sys/mounts/here", {"type": "kv", "local": True}, token=a.has["root_token"])
    a.post("east/1", "here/x", {"n": 1}, token=a.has["root_token"])
    a.wait(1)
    a.fail_over("east", "west")
    assert a.ask("west/1", "here/x", token=a.has["root_token"]).data == {"n": 1}


def test_a_sync_leaves_the_secondary_its_own_tokens() -> None:
    a = pair(shipper_entries=8)
    cut = a.fault(FaultKind.DROP, "repl:west>east")
    for n in range(20):
        write(a, "east/1", f"secret/data/{n}")
    a.wait(5)
    a.world.faults.clear(cut)
    a.wait(10)
    assert read(a, "west/1", "secret/data/19", by="root_token_west").status == 200
    assert read(a, "west/1", "secret/data/19").status == 403


# ------------------------------------------------------------------------------------------- what is handed on


def test_a_write_on_the_secondary_is_carried_out_by_the_primary_and_comes_back_by_the_stream() -> None:
    a = pair(stream_delay_s=0.5)
    said = write(a, "west/2")
    assert (said.status, said.data["version"]) == (200, 1)
    assert read(a, "east/1").status == 200
    assert read(a, "west/1", by="root_token_west").status == 404
    a.wait(1)
    assert read(a, "west/1", by="root_token_west").status == 200
    assert (a.world.counts.acknowledged_writes, a.world.counts.acknowledged_writes_lost) == (1, 0)


def test_check_and_set_is_judged_by_the_primary_whatever_the_secondary_has_heard_of() -> None:
    a = pair(stream_delay_s=30.0)
    assert write(a, "east/1").status == 200
    body = {"data": {"n": 2}, "options": {"cas": 0}}
    said = a.post("west/1", "secret/data/x", body, token=a.has["root_token_west"])
    assert (said.status, said.errors) == (400, ["check-and-set parameter did not match the current version"])


def test_policies_and_mounts_of_the_secondary_are_made_on_the_primary() -> None:
    a = pair()
    policy = {"policy": 'path "a" { capabilities = ["read"] }'}
    assert a.post("west/1", "sys/policies/acl/p", policy, token=a.has["root_token_west"]).status == 204
    assert a.post("west/1", "sys/mounts/both", {"type": "kv"}, token=a.has["root_token_west"]).status == 204
    a.wait(1)
    for target, token in (("east/1", "root_token"), ("west/1", "root_token_west")):
        assert read(a, target, "sys/policies/acl/p", by=token).status == 200
        assert "both/" in read(a, target, "sys/mounts", by=token).data


def test_a_policy_is_judged_on_the_secondary_before_anything_is_handed_on() -> None:
    a = pair()
    assert write(a, "west/1", "kv/x").status == 403
    assert write(a, "west/1", token="hvs.nobody").status == 403
    assert a.ask("east/1", "kv/x", token=a.has["root_token"]).status == 404


def test_a_login_on_the_secondary_gives_a_token_of_the_secondary_and_counts_the_secret_id_on_the_primary() -> None:
    a = pair()
    path = "auth/approle/role/watchdogd/secret-id"
    secret_id = a.post("east/1", path, {"num_uses": 1}, token=a.has["root_token"]).data["secret_id"]
    a.wait(1)
    body = {"role_id": a.has["role_id"], "secret_id": secret_id}
    token = a.post("west/1", "auth/approle/login", body).json["auth"]["client_token"]
    assert [a.ask(t, "auth/token/lookup-self", token=token).status for t in ("west/1", "east/1")] == [200, 403]
    assert a.post("east/1", "auth/approle/login", body).status == 400


@pytest.mark.parametrize("target", ["repl:west>east", "cluster:east"])
def test_a_write_that_cannot_be_handed_on_is_refused_and_reads_and_logins_go_on(target: str) -> None:
    a = pair()
    write(a, "east/1")
    a.wait(1)
    a.fault(FaultKind.DROP if target.startswith("repl") else FaultKind.CRASH, target)
    a.wait(2)
    said = write(a, "west/1", "secret/data/y")
    assert (said.status, said.errors) == (500, ["1 error occurred:\n\t* cannot write to readonly storage\n\n"])
    assert read(a, "west/1", by="root_token_west").status == 200
    body = {"role_id": a.has["role_id"], "secret_id": a.has["secret_id"]}
    assert a.post("west/1", "auth/approle/login", body).status == 200


def test_a_promoted_secondary_writes_itself_and_the_tokens_of_before_are_worth_nothing() -> None:
    a = pair()
    a.fault(FaultKind.CRASH, "cluster:east")
    a.wait(2)
    assert a.post("west/1", PROMOTE, {}, token=a.has["root_token_west"]).status == 200
    a.wait(15)
    assert a.world.primary() == "west"
    assert write(a, "west/1").status == 200
    assert write(a, "west/1", token=a.has["client_token"]).status == 403
    assert read(a, "west/1", by="root_token_west").status == 200


def test_clients_of_a_performance_pair_write_by_either_cluster_and_go_on_after_a_promotion() -> None:
    a = pair()
    client = SimClient(
        name="c1",
        service_name="vault.example.test",
        token=a.has["client_token"],
        resolve=lambda _name, _now_s: "west/lb",
        due_s=a.world.now_s + 1.0,
    )
    a.world.clients.append(client)
    a.wait(30)
    assert client.acknowledged == a.world.counts.acknowledged_writes == 30  # handed on to east, each counted once
    a.fault(FaultKind.CRASH, "cluster:east")
    a.wait(5)
    assert client.failed > 0
    assert a.post("west/1", PROMOTE, {}, token=a.has["root_token_west"]).status == 200
    a.wait(40)
    assert client.acknowledged > 45
    assert a.world.counts.acknowledged_writes_lost <= 1  # what had not come back by the stream
    assert a.world.counts.two_writable_primaries_s == 0.0


# ----------------------------------------------------------------------------------------------------- by hand


def test_a_new_secondary_has_no_token_until_a_root_is_generated_with_the_keys_of_the_primary() -> None:
    f = founder(kind="performance")
    f.make_a_pair()
    roots = (f.has["east"].root, f.has["west"].root)
    assert [f.a.ask("west/1", "auth/token/lookup-self", token=t).status for t in roots] == [403, 403]
    root = generated_root(f.a, "west/1", f.has["east"].keys)
    assert f.a.ask("west/1", "sys/mounts", token=root).status == 200
    assert f.a.ask("east/1", "sys/mounts", token=root).status == 403


@pytest.mark.parametrize(("kind", "sent"), [("dr", "last_dr_wal"), ("performance", "last_performance_wal")])
def test_a_secondary_has_received_what_its_primary_says_that_it_sent_and_no_more(kind: str, sent: str) -> None:
    a, path = asker(kind=kind), f"sys/replication/{kind}/status"  # VVD, TC: the two that are compared
    assert a.ask("west/1", path).data["last_remote_wal"] == a.ask("east/1", path).data[sent]
    a.write("east/1", "x")
    a.wait(1)
    assert a.ask("west/1", path).data["last_remote_wal"] == a.ask("east/1", path).data[sent]
