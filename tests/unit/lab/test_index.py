"""X-Vault-Index: a client that sends it back reads its own writes, or is told 412."""

import base64

import pytest

from tests.unit.lab.asking import Asker, Said, asker
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.knobs import IndexScope


def index_of(said: Said) -> str:
    return said.exchange.headers["X-Vault-Index"]


def read(a: Asker, target: str, index: str, *, by: str = "root_token", **headers: str) -> Said:
    sent = {"X-Vault-Index": index, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return a.ask(target, "secret/data/x", token=a.has[by], headers=sent)


def performance(**knobs: object) -> Asker:
    return asker(kind="performance", **knobs)


def test_an_index_is_what_the_client_library_of_go_reads() -> None:
    a = asker()
    version, of_id, local, replicated, seal = base64.b64decode(index_of(a.write("east/1", "x"))).decode().split(":")
    shown = a.ask("east/1", "sys/replication/dr/status").data
    assert (version, of_id, int(local), int(replicated)) == ("v1", shown["cluster_id"], *[shown["last_wal"]] * 2)
    assert len(bytes.fromhex(seal)) == 32


def test_the_cluster_that_wrote_has_what_it_wrote() -> None:
    a = asker()
    assert read(a, "east/1", index_of(a.write("east/1", "x"))).status == 200


def test_a_performance_secondary_says_412_until_the_write_has_arrived() -> None:
    a = performance(stream_delay_s=2.0)
    index = index_of(a.write("east/1", "x"))
    said = read(a, "west/1", index, by="root_token_west")
    assert (said.status, said.errors) == (412, ["required index state not present"])
    a.wait(3)
    assert read(a, "west/1", index, by="root_token_west").status == 200


def test_a_write_that_was_handed_on_gives_the_index_of_the_primary() -> None:
    a = performance(stream_delay_s=2.0)
    said = a.ask("west/1", "secret/data/x", "POST", token=a.has["client_token_west"], body={"data": {"n": 1}})
    assert read(a, "west/1", index_of(said), by="root_token_west").status == 412
    a.wait(3)
    assert read(a, "west/1", index_of(said), by="root_token_west").data["data"] == {"n": 1}


def test_a_sync_brings_a_secondary_as_far_as_its_primary_is() -> None:
    a = performance(shipper_entries=8)
    cut = a.fault(FaultKind.DROP, "repl:west>east")
    for _ in range(20):
        index = index_of(a.write("east/1", "x"))
    a.wait(5)
    assert read(a, "west/1", index, by="root_token_west").status == 412
    a.world.faults.clear(cut)
    a.wait(10)
    assert read(a, "west/1", index, by="root_token_west").status == 200


@pytest.mark.parametrize(
    "header", [{"X_Vault_Inconsistent": "forward-active-node"}, {"X_Vault_Forward": "active-node"}]
)
def test_a_client_may_ask_for_the_active_node_instead_where_that_is_configured(header: dict[str, str]) -> None:
    a = performance(stream_delay_s=2.0, allow_forwarding_via_header=True)
    index = index_of(a.write("east/1", "x"))
    assert read(a, "west/1", index, by="root_token_west", **header).status == 404  # not there yet, and no 412


@pytest.mark.parametrize(
    "header", [{"X_Vault_Inconsistent": "forward-active-node"}, {"X_Vault_Forward": "active-node"}]
)
def test_where_nothing_is_configured_to_ask_for_the_active_node_is_refused(header: dict[str, str]) -> None:
    """The default of Vault's stanza `replication`: `allow_forwarding_via_header = false`."""
    a = performance(stream_delay_s=2.0)
    index = index_of(a.write("east/1", "x"))
    said = read(a, "west/1", index, by="root_token_west", **header)
    assert said.status == 400
    assert said.errors[0].endswith("disabled in configuration")


def test_after_a_promotion_the_index_of_before_is_not_there() -> None:
    """ISS24400. The new primary counts for itself, and its counter is behind that of the one before."""
    a = asker(clusters="east west")
    a.world.clusters["east"].store.last_wal += 1000
    index = index_of(a.write("east/1", "x"))
    a.wait(1)
    a.fail_over("east", "west")
    said = read(a, "west/1", index)
    assert (said.status, said.errors) == (412, ["required index state not present"])
    assert a.ask("west/1", "secret/data/x", token=a.has["root_token"]).status == 200  # who sends none is served


def test_where_the_index_carries_the_id_of_a_cluster_another_cluster_does_not_judge_it() -> None:
    a = asker(index_scope=IndexScope.CLUSTER)
    a.world.clusters["east"].store.last_wal += 1000
    index = index_of(a.write("east/1", "x"))
    a.wait(1)
    a.fail_over("east", "west")
    assert read(a, "west/1", index).status == 200


@pytest.mark.parametrize("garbage", ["AAAA", "djE6", "v1", "é", base64.b64encode(b"v1:a:b:c:d").decode()])
def test_an_index_that_is_none_asks_for_nothing(garbage: str) -> None:
    a = asker()
    a.write("east/1", "x")
    assert read(a, "east/1", garbage).status == 200


def test_a_dr_secondary_says_what_it_says_to_everything() -> None:
    a = asker()
    said = read(a, "west/1", index_of(a.write("east/1", "x")))
    assert (said.status, said.errors) == (400, ["path disabled in replication DR secondary mode"])
