"""Promote, demote, update-primary: accepted at once, done after a window, refused in Vault's words (sections 3, 7)."""

from typing import Any

import pytest

from tests.support.vectors import vector
from tests.unit.lab.asking import DEMOTE, DR_STATUS, PROMOTE, UPDATE_PRIMARY, Asker, asker
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.knobs import RoleWindow, WindowModes
from watchdogd.lab.wire import Outcome


def dr(a: Asker, target: str) -> Any:
    return a.ask(target, DR_STATUS).data


def verbs(a: Asker) -> list[tuple[str, str]]:
    return [(e.verb, e.cluster) for e in a.world.applied]


def test_promote_is_accepted_at_once_and_done_after_its_window() -> None:
    a = asker(promote_s=10.0)
    said = a.promote("west")
    assert (said.status, said.json["data"]) == (200, None)
    assert said.json["warnings"] == [
        "This cluster is being promoted to a replication primary. Vault will be unavailable for a brief period and "
        "will resume service shortly."
    ]
    assert a.ask("west/1", "sys/leader").json["is_self"] is False
    a.wait(9)
    assert a.ask("west/1", "sys/health").json["replication_dr_mode"] == "unknown"
    a.wait(2)
    assert a.ask("west/1", "sys/health").status == 200
    assert (dr(a, "west/1")["mode"], dr(a, "west/1")["known_secondaries"]) == ("primary", [])
    assert verbs(a) == [("promote", "west")]


@pytest.mark.parametrize(
    ("window", "health", "elsewhere"), [(RoleWindow.LEADERLESS, 429, 500), (RoleWindow.SEALED, 503, 503)]
)
def test_the_window_answers_as_the_knob_says(window: RoleWindow, health: int, elsewhere: int) -> None:
    a = asker(role_window=window)
    a.promote("west")
    a.wait(1)
    assert (a.ask("west/1", "sys/health").status, a.ask("west/1", DR_STATUS).status) == (health, elsewhere)


def test_a_window_may_reset_every_connection() -> None:
    a = asker(role_window=RoleWindow.RESET)
    a.promote("west")
    a.wait(1)
    assert a.ask("west/1", "sys/health").exchange.outcome is Outcome.RESET


def test_a_window_may_show_the_modes_from_before() -> None:
    a = asker(window_modes=WindowModes.PREVIOUS)
    a.promote("west")
    a.wait(1)
    assert a.ask("west/1", "sys/health").json["replication_dr_mode"] == "secondary"


def test_demote_answers_as_observed_and_keeps_ids_and_data() -> None:
    a = asker()
    before = dr(a, "east/1")
    said = a.demote("east")
    assert said.json["warnings"] == vector("dr-primary-demote").body["warnings"]
    a.wait(5)
    after = dr(a, "east/1")
    assert after["mode"] == "secondary"
    assert (after["cluster_id"], after["merkle_root"]) == (before["cluster_id"], before["merkle_root"])
    assert a.ask("east/1", "sys/health").status == 472


def test_a_standby_forwards_promote_to_its_active_node() -> None:
    a = asker()
    assert a.post("west/3", PROMOTE, {"dr_operation_token": a.has["dr_token_b"]}).status == 200


def test_promote_without_a_token_is_refused() -> None:
    a = asker()
    said = a.post("west/1", PROMOTE, {})
    assert (said.status, said.errors) == (400, ["DR operation token was not provided"])


@pytest.mark.parametrize("status", [400, 403])
def test_promote_with_an_invalid_token_is_refused_as_the_knob_says(status: int) -> None:
    a = asker(invalid_dr_token_status=status, invalid_dr_token_text="no such token")
    said = a.post("west/1", PROMOTE, {"dr_operation_token": "hvb.AAAA"})
    assert (said.status, said.errors) == (status, ["no such token"])
    assert verbs(a) == []


def test_a_vault_token_is_no_operation_token() -> None:
    a = asker()
    assert a.post("west/1", PROMOTE, {"dr_operation_token": a.has["root_token"]}).status == 403


def test_promote_on_a_primary_is_refused_in_the_reported_words() -> None:
    said = asker().promote("east")
    assert (said.status, said.errors) == (400, ["Not a DR secondary."])  # ISS19603


def test_promote_while_syncing_is_503_until_it_is_done_and_force_overrides() -> None:
    a = asker()
    a.fault(FaultKind.SYNCING, "cluster:west", for_s=20)
    a.wait(1)
    said = a.promote("west")
    assert (said.status, said.json) == (503, vector("dr-promote-too-early").body)
    assert a.promote("west", force=True).status == 200


def test_promote_may_say_not_yet_for_a_while() -> None:
    a = asker(catching_up_s=10.0)
    assert a.promote("west").status == 503
    a.wait(9)
    assert a.promote("west").status == 503
    a.wait(2)
    assert a.promote("west").status == 200


def test_demote_needs_a_policy_that_allows_it() -> None:
    a = asker()
    said = a.post("east/1", DEMOTE, token=a.has["client_token"])
    assert (said.status, said.json) == (403, vector("obs:obs3:perm denied").body)
    assert a.post("east/1", DEMOTE).errors == ["permission denied"]


def test_on_a_dr_secondary_everything_else_is_a_disabled_path_with_any_token() -> None:
    a = asker()
    disabled = vector("dr-secondary-path-disabled-mounts").body
    for target, path, method in [
        ("west/1", "sys/mounts", "GET"),
        ("west/2", "auth/token/lookup-self", "GET"),
        ("west/1", DEMOTE, "POST"),
        ("west/1", "secret/data/x", "POST"),
        ("west/1", "auth/approle/login", "POST"),
        ("west/1", "sys/storage/raft/configuration", "GET"),
    ]:
        for token in ("", a.has["root_token"], "garbage"):
            said = a.ask(target, path, method, token=token, body={"data": {}})
            assert (said.status, said.json) == (400, disabled), path


def test_what_is_unconfirmed_on_a_dr_secondary_may_be_open() -> None:
    a = asker(open_on_dr_secondary=frozenset({"sys/ha-status"}))
    assert a.ask("west/1", "sys/ha-status", token=a.has["root_token"]).status == 200
    assert asker().ask("west/1", "sys/ha-status", token=a.has["root_token"]).status == 400


def test_a_promoted_cluster_knows_the_tokens_of_the_one_it_followed() -> None:
    a = asker()
    a.fail_over("east", "west")
    assert a.ask("west/1", "auth/token/lookup-self", token=a.has["root_token"]).status == 200
    assert a.write("west/lb", "x").status == 200


def test_a_returning_primary_still_believes_that_it_is_primary() -> None:
    a = asker()
    fault_id = a.fail_over("east", "west")
    a.world.faults.clear(fault_id)
    a.wait(5)
    assert (dr(a, "east/1")["mode"], dr(a, "west/1")["mode"]) == ("primary", "primary")
    assert dr(a, "east/1")["cluster_id"] == dr(a, "west/1")["cluster_id"]
    assert a.world.active_primaries() == ("east", "west")


def test_the_same_batch_token_demotes_the_returned_primary_and_serves_its_rejoin() -> None:
    a = asker()
    fault_id = a.fail_over("east", "west")
    a.world.faults.clear(fault_id)
    a.wait(2)
    a.rejoin("east", "west")
    shown = dr(a, "east/1")
    assert (shown["mode"], shown["state"], shown["connection_state"]) == ("secondary", "stream-wals", "ready")
    assert shown["merkle_root"] == dr(a, "west/1")["merkle_root"]
    assert dr(a, "west/1")["secondaries"][0]["node_id"] == "east-again"
    assert verbs(a) == [("promote", "west"), ("demote", "east"), ("update-primary", "east")]


def test_an_activation_token_works_once() -> None:
    a = asker()
    fault_id = a.fail_over("east", "west")
    a.world.faults.clear(fault_id)
    a.demote("east")
    a.wait(5)
    token = a.activation("west", "e2")
    assert a.update_primary("east", token).status == 200
    a.wait(5)
    said = a.update_primary("east", token)
    assert (said.status, said.json) == (500, vector("dr-update-primary-unwrap-failed").body)


def test_an_activation_that_cannot_reach_the_primary_says_so() -> None:
    a = asker()
    fault_id = a.fail_over("east", "west")
    a.world.faults.clear(fault_id)
    a.demote("east")
    a.wait(5)
    token = a.activation("west", "e2")
    a.fault(FaultKind.DROP, "link:east>west")
    said = a.update_primary("east", token)
    assert said.status == 500
    assert said.errors[0].startswith('error unwrapping secondary token: Post "https://127.3.2.1:8200/v1/sys/wrapping')


def test_a_public_key_needs_no_call_to_the_primary() -> None:
    a = asker()
    fault_id = a.fail_over("east", "west")
    a.world.faults.clear(fault_id)
    a.demote("east")
    a.wait(5)
    a.fault(FaultKind.DROP, "link:east>west")
    path = "sys/replication/dr/secondary/generate-public-key"
    key = a.post("east/1", path, token=a.has["root_token"]).data["secondary_public_key"]
    issue = "sys/replication/dr/primary/secondary-token"
    body = {"id": "e3", "secondary_public_key": key}
    token = a.post("west/1", issue, body, token=a.has["root_token"]).data["token"]
    assert a.update_primary("east", token).status == 200
    a.wait(10)
    assert dr(a, "east/1")["state"] == "stream-wals"


def test_update_primary_with_an_empty_token_follows_nobody() -> None:
    a = asker()
    assert a.update_primary("west", "").status == 200
    a.wait(5)
    assert (dr(a, "west/1")["mode"], dr(a, "west/1")["state"]) == ("secondary", "idle")


def test_update_primary_wants_a_token() -> None:
    a = asker()
    assert a.post("west/1", UPDATE_PRIMARY, {"dr_operation_token": a.has["dr_token_a"]}).status == 400


def test_a_demoted_cluster_can_be_promoted_back_and_nothing_is_lost() -> None:
    a = asker()
    a.write("east/lb", "x")
    a.wait(1)
    a.demote("east")
    a.wait(5)
    assert a.promote("east").status == 200
    a.wait(12)
    assert a.write("east/lb", "y").status == 200
    assert a.world.counts.acknowledged_writes_lost == 0


def test_a_secondary_id_is_unique() -> None:
    a = asker()
    a.activation("east", "same")
    path = "sys/replication/dr/primary/secondary-token"
    assert a.post("east/1", path, {"id": "same"}, token=a.has["root_token"]).status == 400


def test_a_role_change_survives_the_crash_of_its_cluster() -> None:
    a = asker(promote_s=10.0)
    a.promote("west")
    a.wait(2)
    crash = a.fault(FaultKind.CRASH, "cluster:west")
    a.wait(20)
    a.world.faults.clear(crash)
    a.wait(10)
    assert dr(a, a.world.clusters["west"].serving().target)["mode"] == "primary"


def test_to_revoke_nobody_is_refused_and_so_is_to_revoke_where_there_are_no_secondaries() -> None:
    a, revoke = asker(), "sys/replication/{}/primary/revoke-secondary"  # DRDOC2: `id` is required
    token = a.has["root_token"]
    said = a.post("east/1", revoke.format("dr"), {}, token=token)
    assert (said.status, said.errors) == (400, [a.world.clusters["east"].knobs.missing_secondary_id_text])
    said = a.post("east/1", revoke.format("performance"), {"id": "west"}, token=token)
    assert (said.status, said.errors) == (400, [a.world.clusters["east"].knobs.not_primary_text])
