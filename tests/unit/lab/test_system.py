"""Audit devices, keys, licence and metrics, where an answer depends on what came before or on which cluster is asked.

What a single request answers is in tests/real/test_openbao.py, beside what a real server says to it.
"""

import pytest

from tests.unit.lab.asking import Asker, Said, asker
from watchdogd.lab.faults import FaultKind

FILE = {"type": "file", "options": {"file_path": "/var/log/audit"}}


def ask(a: Asker, path: str, method: str = "GET", body: object = None, target: str = "east/1") -> Said:
    return a.ask(target, path, method, token=a.has["root_token"], body=body)


def gauges(a: Asker, target: str = "east/1") -> dict[str, int]:
    return {gauge["Name"]: gauge["Value"] for gauge in ask(a, "sys/metrics", target=target).json["Gauges"]}


def test_audit_devices_are_enabled_listed_hashed_with_and_disabled() -> None:
    a = asker()
    assert ask(a, "sys/audit/file", "PUT", FILE).status == 204
    assert ask(a, "sys/audit").json["file/"] == FILE | {"description": "", "local": False, "path": "file/"}
    one, again = (ask(a, "sys/audit-hash/file", "PUT", {"input": "x"}).data["hash"] for _ in range(2))
    assert one == again
    assert one.startswith("hmac-sha256:")
    assert one != ask(a, "sys/audit-hash/file", "PUT", {"input": "y"}).data["hash"]
    a.wait(2)
    a.fail_over("east", "west")
    assert set(ask(a, "sys/audit", target="west/1").data) == {"file/"}
    assert ask(a, "sys/audit/file", "DELETE", target="west/1").status == 204
    assert ask(a, "sys/audit", target="west/1").data == {}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "backend type must be specified as a string"),
        ({"type": "nope"}, 'unknown backend type: "nope"'),
        ({"type": "file"}, "file_path is required"),
        (FILE, "path already in use"),
    ],
)
def test_an_audit_device_that_cannot_be_is_refused(body: dict[str, object], text: str) -> None:
    a = asker()
    ask(a, "sys/audit/file", "PUT", FILE)
    said = ask(a, "sys/audit/file", "PUT", body)
    assert (said.status, said.errors) == (400, [text])


def test_a_rotation_begins_a_term_and_leaves_batch_tokens_valid() -> None:
    a = asker()
    before = ask(a, "sys/key-status").data
    assert before["term"] == 1
    a.wait(5)
    assert ask(a, "sys/rotate", "PUT").status == 204
    after = ask(a, "sys/key-status").data
    assert (after["term"], after["install_time"] > before["install_time"]) == (2, True)
    assert a.ask("east/1", "auth/token/lookup-self", token=a.has["dr_token_a"]).status == 200
    a.wait(2)
    a.fail_over("east", "west")
    assert ask(a, "sys/key-status", target="west/1").data["term"] == 2


def test_metrics_tell_the_roles_of_a_cluster_and_how_far_its_secondary_is() -> None:
    a = asker(unauthenticated_metrics=True)
    a.write("east/1", "x")
    a.wait(2)
    primary, secondary = gauges(a), gauges(a, "west/1")
    assert (primary["vault.core.replication.dr.primary"], primary["vault.core.replication.dr.secondary"]) == (1, 0)
    assert (secondary["vault.core.replication.dr.primary"], secondary["vault.core.replication.dr.secondary"]) == (0, 1)
    assert secondary["vault.replication.fsm.last_remote_wal"] == primary["vault.replication.wal.last_dr_wal"]
    assert "vault.replication.fsm.last_remote_wal" not in primary
    standby = gauges(a, "east/2")
    assert (standby["vault.core.active"], standby["vault.core.unsealed"]) == (0, 1)
    assert "vault.replication.wal.last_dr_wal" not in standby


def test_metrics_for_prometheus_say_the_same() -> None:
    a = asker()
    said = ask(a, "sys/metrics?format=prometheus").exchange
    assert said.headers["Content-Type"].startswith("text/plain")
    text = said.body.decode()
    for name, value in gauges(a).items():
        assert f'\n{name.replace(".", "_")}{{cluster="east"}} {value}\n' in text
    assert ask(a, "sys/metrics?format=nope").status == 400


def test_metrics_of_a_dr_secondary_need_the_option_of_its_listener() -> None:
    a = asker()
    said = ask(a, "sys/metrics", target="west/1")
    assert (said.status, said.errors) == (400, ["path disabled in replication DR secondary mode"])
    assert a.ask("east/1", "sys/metrics").status == 403
    opened = asker(unauthenticated_metrics=True)
    assert opened.ask("west/1", "sys/metrics").status == 200


def test_a_sealed_node_measures_nothing() -> None:
    a = asker()
    a.fault(FaultKind.SEAL, "node:east/2")
    a.wait(1)
    assert ask(a, "sys/metrics", target="east/2").errors == ["Vault is sealed"]


def test_the_licence_ends_when_health_says_so() -> None:
    a = asker()
    licence = ask(a, "sys/license/status").data["autoloaded"]
    assert licence["expiration_time"] == a.ask("east/1", "sys/health").json["license"]["expiry_time"]
    assert "DR Replication" in licence["features"]
