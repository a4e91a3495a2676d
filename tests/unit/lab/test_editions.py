"""Community Edition: what it lacks, and how it says so."""

import pytest

from tests.support.vectors import vector
from tests.unit.lab.asking import Asker, empty_world
from tests.unit.lab.founding import Founder
from watchdogd.lab.spec import ClusterSpec, WorldSpec


def community(version: str = "1.19.0+ce") -> Founder:
    f = Founder(empty_world(version=version))
    f.found("east")
    return f


@pytest.fixture(name="f", scope="module")
def _community() -> Founder:
    return community()


def test_its_health_has_no_edition_no_licence_no_wal_and_plain_standbys(f: Founder) -> None:
    said = f.a.ask("east/1", "sys/health")
    assert (said.status, said.json["version"], said.json["enterprise"]) == (200, "1.19.0", False)
    assert not {"license", "last_wal"} & set(said.json)
    assert {said.json[f"replication_{kind}_mode"] for kind in ("dr", "performance")} == {"disabled"}
    standby = f.a.ask("east/2", "sys/health")
    assert (standby.status, standby.json["performance_standby"]) == (429, False)


def test_its_seal_status_and_leader_say_the_same(f: Founder) -> None:
    assert f.a.ask("east/1", "sys/seal-status").json["version"] == "1.19.0"
    assert "last_wal" not in f.a.ask("east/1", "sys/leader").json


def test_its_replication_status_is_flat(f: Founder) -> None:
    said = f.a.ask("east/1", "sys/replication/status")
    assert (said.status, {"data": said.data}) == (200, vector("replication-status-ce").body)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "sys/replication/dr/primary/enable"),
        ("POST", "sys/replication/dr/secondary/promote"),
        ("GET", "sys/replication/dr/secondary/generate-operation-token/attempt"),
        ("POST", "sys/replication/reindex"),
        ("GET", "sys/license/status"),
    ],
)
def test_what_only_enterprise_has_is_404(f: Founder, method: str, path: str) -> None:
    said = f.a.ask("east/1", path, method, token=f.has["east"].root)
    assert (said.status, said.errors) == (404, ["enterprise-only feature"])


def test_a_write_gives_no_index_and_works(f: Founder) -> None:
    token = f.has["east"].root
    assert f.a.post("east/1", "sys/mounts/kv", {"type": "kv"}, token=token).status == 204
    said = f.a.post("east/1", "kv/x", {"n": 1}, token=token)
    assert (said.status, "X-Vault-Index" in said.exchange.headers) == (204, False)


def test_before_1_16_nobody_says_which_edition_it_is() -> None:
    a: Asker = community("1.10.3+ce").a
    assert "enterprise" not in a.ask("east/1", "sys/health").json


def test_a_world_of_community_edition_cannot_begin_as_a_pair() -> None:
    with pytest.raises(ValueError, match="does not replicate"):
        WorldSpec(clusters=(ClusterSpec(name="east", vault_version="1.19.0+ce"),))
