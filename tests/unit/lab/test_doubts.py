"""Every doubt is a knob, every knob has its choices, and each choice shows at the API (section 11 of the reference)."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.lab import guessing
from tests.unit.lab.asking import ATTEMPT, DEMOTE, DR_STATUS, PROMOTE, UPDATE, UPDATE_PRIMARY, Asker, asker
from tests.unit.lab.founding import founder
from tests.unit.lab.guessing import told
from watchdogd.lab import knobs as knobs_module
from watchdogd.lab.doubts import DOUBTS, LISTED, Choice, shown
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.knob_text import knobs_in
from watchdogd.lab.knobs import DeadLinkState, Knobs, StatusEndpoints

ITEMS = Path(__file__).parents[2] / "data" / "vault" / "unconfirmed.txt"
ISSUE, REVOKE = "sys/replication/dr/primary/secondary-token", "sys/replication/dr/primary/revoke-secondary"
MAKE_KEY = "sys/replication/dr/secondary/generate-public-key"
SECRET = "secret/data/a"
Probe = Callable[..., object]


# -- the table ---------------------------------------------------------------------------------------------------------


def test_no_item_of_the_list_lacks_a_knob() -> None:
    listed = [line for line in ITEMS.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    assert list(dict.fromkeys(doubt.item for doubt in LISTED)) == listed


def test_every_field_that_says_unconfirmed_has_its_choices_and_no_other_has() -> None:
    source = Path(knobs_module.__file__).read_text(encoding="utf-8")
    marked, name = set(), ""
    for line in source[source.index("class Knobs") :].splitlines():
        found = re.match(r"    (\w+): ", line)
        name = found[1] if found else name
        if name and "UNCONFIRMED" in line:
            marked.add(name)
    assert marked == DOUBTS.keys()


@pytest.mark.parametrize("knob", DOUBTS)
def test_the_first_choice_is_what_the_lab_does_by_default_and_there_is_another(knob: str) -> None:
    choices = DOUBTS[knob].choices
    assert choices[0] == getattr(Knobs(), knob)
    assert len(set(map(repr, choices))) == len(choices) > 1


# -- each choice shows -------------------------------------------------------------------------------------------------


def dr(a: Asker, target: str = "west/1") -> dict[str, Any]:
    return a.ask(target, DR_STATUS).data


def root(a: Asker) -> str:
    return a.has["root_token"]


def promoted_with(token: str | None, target: str = "west/1") -> Probe:
    def probe(**knobs: object) -> object:
        return told(asker(**knobs).post(target, PROMOTE, {} if token is None else {"dr_operation_token": token}))

    return probe


def asked_twice_for_an_id(**knobs: object) -> object:
    a = asker(**knobs)
    a.activation("east", "another")
    return told(a.post("east/1", ISSUE, {"id": "another"}, token=root(a)))


def demoted(**knobs: object) -> object:
    a = asker(**knobs)
    a.demote("east")
    a.wait(5)
    found = dr(a, "east/1")
    return [found.get(key, "absent") for key in ("primaries", "connection_state", "merkle_root")]


def generated(a: Asker, target: str = "west/1") -> str:
    """An operation token by three shares, as it is before its one-time password is taken off."""
    begun = a.post(target, ATTEMPT, {}).json
    for share in a.shares[:3]:
        said = a.post(target, UPDATE, {"key": share, "nonce": begun["nonce"]}).json
    return a.world.clusters[target.partition("/")[0]].op_tokens[-1] if said["complete"] else ""


def used_twice(**knobs: object) -> object:
    a = asker(**knobs)
    body = {"dr_operation_token": generated(a), "token": ""}
    first = a.post("west/1", UPDATE_PRIMARY, body)
    a.wait(10)
    return first.status, a.post("west/1", UPDATE_PRIMARY, body).status


def used_after_promotion(**knobs: object) -> object:
    a = asker(**knobs)
    token = generated(a)
    a.post("west/1", PROMOTE, {"dr_operation_token": token})
    a.wait(12)
    a.demote("west")
    a.wait(5)
    return a.post("west/1", UPDATE_PRIMARY, {"dr_operation_token": token, "token": ""}).status


def first_of_two(**knobs: object) -> object:
    a = asker(**knobs)
    first, second = generated(a), generated(a)
    return first != second and a.post("west/1", PROMOTE, {"dr_operation_token": first}).status


def primary_dead(seconds: float, **given: object) -> Probe:
    def probe(**knobs: object) -> object:
        a = asker(**given, **knobs)
        a.fault(FaultKind.CRASH, "region:east")
        a.wait(seconds)
        return dr(a)["state"]

    return probe


def promoted(**knobs: object) -> object:
    a = asker(**knobs)
    a.promote("west")
    a.wait(12)
    return dr(a)["ssct_generation_counter"]


def attempt(method: str, *, capabilities: str, **given: object) -> Probe:
    """An attempt that a token with these capabilities asks about."""

    def probe(**knobs: object) -> object:
        a = asker(**given, **knobs)
        policy = f'path "sys/replication/dr/*" {{ capabilities = [{capabilities}] }}'
        a.ask("east/1", "sys/policies/acl/p", "PUT", token=root(a), body={"policy": policy})
        made = a.ask("east/1", "auth/token/create", "PUT", token=root(a), body={"policies": ["p"]}).json
        a.wait(2)
        said = a.ask("west/1", ATTEMPT, method, token=made["auth"]["client_token"])
        keys = sorted(said.json) if method == "GET" else []
        return said.status, keys

    return probe


def anonymous_attempt(**knobs: object) -> object:
    return [asker(version=version, **knobs).ask("west/1", ATTEMPT).status for version in ("1.19.0", "2.0.0")]


def on_a_secondary(*asked: str, method: str = "PUT") -> Probe:
    def probe(**knobs: object) -> object:
        return [
            told(a.ask("west/1", path, "GET" if path == "sys/ha-status" else method, token=root(a)))
            for path in asked
            for a in [asker(**knobs)]
        ]

    return probe


def asking(path: str, *, target: str = "east/1", given: dict[str, object] | None = None, **how: Any) -> Probe:
    """One question; `token` a credential's name."""

    def probe(**knobs: object) -> object:
        a = asker(**(given or {}), **knobs)
        asked = how | {"token": a.has.get(how.get("token", ""), how.get("token", ""))}
        return told(a.ask(target, path, **asked))

    return probe


def keys_of_status(target: str, version: str = "1.19.0") -> Probe:
    return lambda **knobs: sorted(dr(asker(version=version, **knobs), target))


def in_a_window(**knobs: object) -> object:
    a = asker(**knobs)
    a.promote("west")
    a.wait(1)
    return told(a.ask("west/1", "sys/health")), told(a.ask("west/1", DR_STATUS))


def new_secondary(**knobs: object) -> object:
    f = founder(**knobs)
    f.enable_primary()
    f.enable_secondary(f.activation())
    return [f.a.ask(f"west/{number}", "sys/health").status for number in (1, 2, 3)]


def write_before_demote(**knobs: object) -> object:
    a = asker(stream_delay_s=5.0, **knobs)
    a.write("east/1", "a")
    a.demote("east")
    a.wait(1)
    return dr(a)["last_remote_wal"] >= dr(asker(stream_delay_s=5.0))["last_remote_wal"] + 1


def after_a_restart(**knobs: object) -> object:
    a = asker(**knobs)
    a.fault(FaultKind.REFUSE, "repl:west>east")
    a.ask("west/1", "sys/seal", "PUT", token=root(a))
    a.fault(FaultKind.SEAL, "node:west/1")
    a.wait(10)
    return dr(a, "west/2")["last_remote_wal"]


def known_again(**knobs: object) -> object:
    a = asker(**knobs)
    a.demote("east")
    a.wait(5)
    a.promote("east")
    a.wait(12)
    return dr(a, "east/1")["known_secondaries"]


def rotated(**knobs: object) -> object:
    a = asker(**knobs)
    a.ask("east/1", "sys/rotate", "PUT", token=root(a))
    a.wait(2)
    return told(a.promote("west"))


def key_by_batch_token(**knobs: object) -> object:
    a = asker(**knobs)
    policy = f'path "{MAKE_KEY}" {{ capabilities = ["update"] }}'
    a.ask("east/1", "sys/policies/acl/watchdogd-dr", "PUT", token=root(a), body={"policy": policy})
    a.wait(2)
    return a.post("west/1", MAKE_KEY, {}, token=a.has["dr_token_a"]).status


def just_elected(**knobs: object) -> object:
    a = asker(**knobs)
    a.ask("east/1", "sys/step-down", "PUT", token=root(a))
    a.wait(5)
    return a.post("east/2", ISSUE, {"id": "another"}, token=root(a)).status


def revoked(**knobs: object) -> object:
    a = asker(**knobs)
    token = a.activation("east", "another")
    a.post("east/1", REVOKE, {"id": "another"}, token=root(a))
    return told(a.update_primary("west", token))


def sealed_by_a_standby(**knobs: object) -> object:
    a = asker(**knobs)
    a.ask("east/2", "sys/seal", "PUT", token=root(a))
    return [a.ask(f"east/{number}", "sys/seal-status").json["sealed"] for number in (1, 2, 3)]


def far_write(**knobs: object) -> object:
    a = asker(kind="performance", **knobs)
    a.fault(FaultKind.BLACKOUT, "region:east")
    a.wait(30)
    body = {"data": {"number": 1}}
    return told(a.ask("west/1", SECRET, "POST", token=a.has["client_token_west"], body=body))


def activated(token: object) -> Probe:
    """update-primary with something that is no activation of this kind."""

    def probe(**knobs: object) -> object:
        a = asker(**knobs)
        return told(a.update_primary("west", token(a) if callable(token) else token))  # type: ignore[arg-type]

    return probe


def without_activation(**knobs: object) -> object:
    a = asker(**knobs)
    return told(a.post("west/1", UPDATE_PRIMARY, {"dr_operation_token": a.has["dr_token_a"]}))


def demote_at_a_performance_secondary(**knobs: object) -> object:
    a = asker(kind="performance", **knobs)
    return told(a.post("west/1", DEMOTE.replace("/dr/", "/performance/"), {}, token=a.has["root_token_west"]))


def follow_a_newer_one(**knobs: object) -> object:
    a = asker(versions="1.15.0 1.11.0", **knobs)
    return told(a.update_primary("west", a.activation("east", "anew")))


def wrapped_secret(a: Asker) -> str:
    headers = {"X-Vault-Wrap-TTL": "60s", "X-Vault-Wrap-Format": "jwt"}
    said = a.ask("east/1", "sys/wrapping/wrap", "PUT", token=root(a), body={"a": 1}, headers=headers)
    return str(said.json["wrap_info"]["token"])


def of_another_kind(a: Asker) -> str:
    a.ask("east/1", "sys/replication/performance/primary/enable", "PUT", token=root(a), body={})
    a.wait(10)
    path = "sys/replication/performance/primary/secondary-token"
    return str(a.post("east/1", path, {"id": "p"}, token=root(a)).json["wrap_info"]["token"])


def for_another_key(a: Asker) -> str:
    key = a.post("west/1", MAKE_KEY, {}, token=root(a)).data["secondary_public_key"]
    said = a.post("east/1", ISSUE, {"id": "k", "secondary_public_key": key}, token=root(a))
    a.world.clusters["west"].public_keys.clear()
    return str(said.data["token"])


def addressed(addresses: object, *, is_demoted: bool = False) -> Probe:
    def probe(**knobs: object) -> object:
        a = asker(**knobs)
        if is_demoted:
            a.demote("east")
            a.wait(5)
        body = {"dr_operation_token": a.has["dr_token_a"], "update_primary_addrs": addresses}
        return told(a.post("east/1" if is_demoted else "west/1", UPDATE_PRIMARY, body))

    return probe


def disabled_by_token(**knobs: object) -> object:
    a = asker(**knobs)
    path = "sys/replication/dr/secondary/disable"
    return told(a.post("west/1", path, {"dr_operation_token": generated(a)}))


def index_after_promotion(**knobs: object) -> object:
    a = asker(**knobs)
    index = a.write("east/1", "a").exchange.headers["X-Vault-Index"]
    a.wait(2)
    a.fail_over("east", "west")
    headers = {"X-Vault-Index": index}
    return a.ask("west/1", SECRET, token=a.has["client_token"], headers=headers, place="clients").status


def audited_twice(**knobs: object) -> object:
    a = asker(**knobs)
    for _ in range(2):
        body = {"type": "file", "options": {"file_path": "/a"}}
        said = a.ask("east/1", "sys/audit/f", "PUT", token=root(a), body=body)
    return told(said)


def reindexed(times: int) -> Probe:
    def probe(**knobs: object) -> object:
        a = asker(**knobs)
        said = [a.post("east/1", "sys/replication/reindex", {}, token=root(a)) for _ in range(times)]
        return told(said[-1]), dr(a, "east/1")["state"]

    return probe


def reindexed_alone(**knobs: object) -> object:
    a = asker(**knobs)
    a.post("east/1", "sys/replication/dr/primary/disable", {}, token=root(a))
    a.wait(5)
    return told(a.post("east/1", "sys/replication/reindex", {}, token=root(a)))


ISSUED = {"method": "POST", "token": "root_token"}
PROBES: dict[str, Probe] = {
    "invalid_dr_token_status": promoted_with("hvb.nobody"),
    "invalid_dr_token_text": promoted_with("hvb.nobody"),
    "missing_dr_token_status": promoted_with(None),
    "not_dr_secondary_status": promoted_with(None, "east/1"),
    "not_dr_secondary_text": promoted_with(None, "east/1"),
    "duplicate_secondary_id_status": asked_twice_for_an_id,
    "duplicate_secondary_id_text": asked_twice_for_an_id,
    "update_primary_text": activated(""),
    "revoke_secondary_status": asking(REVOKE, body={"id": "west"}, **ISSUED),
    "peers_when_demoted": demoted,
    "connection_state_when_demoted": demoted,
    "merkle_root_when_demoted": demoted,
    "single_use_op_token": used_twice,
    "new_op_token_revokes_previous": first_of_two,
    "dead_link_state": primary_dead(60.0),
    "idle_after_s": primary_dead(15.0, dead_link_state=DeadLinkState.IDLE),
    "ssct_bump_on_promote": promoted,
    "authenticated_op_token": anonymous_attempt,
    "op_token_envelope": attempt("GET", capabilities='"read"', version="2.0.0"),
    "op_token_read_needs_read": attempt("GET", capabilities='"update"', version="2.0.0"),
    "op_token_delete_needs_delete": attempt("DELETE", capabilities='"update"', version="2.0.0"),
    "open_on_dr_secondary": on_a_secondary("sys/seal", "sys/step-down", "sys/ha-status"),
    "unauthenticated_metrics": asking("sys/metrics", target="west/1"),
    "disabled_path_status": asking(DR_STATUS, given={"status_endpoints": StatusEndpoints.DISABLED}),
    "mount_type_in_envelope": asking(DR_STATUS, target="west/1"),
    "invalid_token_two_errors": asking("auth/token/lookup-self", token="hvs.nobody"),
    "invalid_token_texts": asking("auth/token/lookup-self", token="hvs.nobody"),
    "role_window": in_a_window,
    "window_modes": in_a_window,
    "poison_pill": new_secondary,
    "demote_drains": write_before_demote,
    "standby_status": asking(DR_STATUS, target="east/2"),
    "last_kind_wal_since": keys_of_status("east/1"),
    "connection_state_since": keys_of_status("west/1"),
    "remote_wal_zero_after_restart": after_a_restart,
    "remembers_secondaries": known_again,
    "rotation_ends_batch_tokens": rotated,
    "batch_token_makes_public_key": key_by_batch_token,
    "op_tokens_outlive_promotion": used_after_promotion,
    "secondary_token_waits_s": just_elected,
    "refuses_revoked_id": revoked,
    "revoked_id_text": lambda **knobs: revoked(refuses_revoked_id=True, **knobs),
    "activation_tokens_replicate": guessing.left_after_promotion,
    "ca_file_status": guessing.without_a_file,
    "ca_file_text": guessing.without_a_file,
    "overload_text": guessing.overloaded,
    "dr_secondary_limits": guessing.limited_on_a_secondary,
    "community_shows_each_kind": guessing.status_of_a_kind_of_community,
    "dr_secondary_shows_performance": guessing.performance_on_a_demoted_one,
    "bootstraps_before_it_answers": guessing.led_nowhere,
    "bootstrap_text": guessing.started_in_vain,
    "reload_licence_status": guessing.licence_reloaded,
    "missing_token_in_words": asking("auth/token/lookup-self"),
    "standby_forwards_seal": sealed_by_a_standby,
    "not_forwarded_status": far_write,
    "not_forwarded_text": far_write,
    "not_primary_text": demote_at_a_performance_secondary,
    "missing_secondary_id_text": asking(ISSUE, body={}, **ISSUED),
    "invalid_public_key_text": asking(ISSUE, body={"id": "k", "secondary_public_key": "k"}, **ISSUED),
    "missing_activation_text": without_activation,
    "no_bundle_text": activated(wrapped_secret),
    "wrong_kind_text": activated(of_another_kind),
    "wrong_public_key_text": activated(for_another_key),
    "addrs_refused_text": addressed(["https://127.3.2.1:8201"], is_demoted=True),
    "addrs_invalid_text": addressed([]),
    "addrs_silent_status": addressed(["https://127.3.9.1:8201"]),
    "addrs_silent_text": addressed(["https://127.3.9.1:8201"]),
    "already_enabled_status": asking("sys/replication/dr/primary/enable", body={}, **ISSUED),
    "already_enabled_text": asking("sys/replication/dr/primary/enable", body={}, **ISSUED),
    "disable_secondary_text": disabled_by_token,
    "reindexing_state": reindexed(1),
    "reindex_text": reindexed(1),
    "reindexing_already_text": reindexed(2),
    "recover_text": asking("sys/replication/recover", body={}, **ISSUED),
    "not_replicating_text": reindexed_alone,
    "index_scope": index_after_promotion,
    "namespace_health_text": asking("sys/health", headers={"X-Vault-Namespace": "ns1/"}),
    "follows_newer_primary": follow_a_newer_one,
    "newer_primary_status": follow_a_newer_one,
    "newer_primary_text": follow_a_newer_one,
    "namespace_missing_text": asking("secret/data/x", headers={"X-Vault-Namespace": "ns1/"}),
    "licence_body": asking("sys/license/status", token="root_token"),
    "audit_type_text": asking("sys/audit/f", method="PUT", token="root_token", body={"type": "paper"}),
    "audit_in_use_text": audited_twice,
    "unsealing_again_is_disabled": guessing.unsealed_again,
}


def test_every_doubt_is_asked_about() -> None:
    assert PROBES.keys() == DOUBTS.keys()


@pytest.mark.parametrize("knob", DOUBTS)
def test_each_choice_is_another_answer_and_always_the_same(knob: str) -> None:
    choices, probe = DOUBTS[knob].choices, PROBES[knob]
    found = [probe(**{knob: choice}) for choice in choices]
    assert len(set(map(repr, found))) == len(found), found
    assert probe(**{knob: choices[0]}) == found[0]


@pytest.mark.parametrize(("knob", "choice"), [(d.knob, choice) for d in DOUBTS.values() for choice in d.choices])
def test_every_choice_can_be_typed(knob: str, choice: Choice) -> None:
    assert knobs_in([f"{knob}={shown(choice)}"]) == {knob: choice}
