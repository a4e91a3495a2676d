"""What a secondary does with an activation token: whom it trusts on the way, and what is left of one nobody used."""

import pytest

from tests.unit.lab.asking import Asker, Said, asker
from tests.unit.lab.founding import founder
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.world import NODES_CA_FILE

WRONG_FILE = "Error loading CA File: open {}: no such file or directory"
X509 = (
    'error unwrapping secondary token: Post "{}/v1/sys/wrapping/unwrap": x509: certificate signed by unknown authority'
)
EAST, WEST = "https://127.3.1.1:8200", "https://127.3.2.1:8200"
LOOKUP = "sys/wrapping/lookup"


def demoted(**knobs: object) -> tuple[Asker, str]:
    """Two clusters of which west was promoted and east demoted; a token of west's for east."""
    a = asker(**knobs)
    a.promote("west")
    a.demote("east")
    a.wait(15)
    return a, a.activation("west", "east-again")


def is_left(a: Asker, target: str, token: str) -> bool:
    return a.post(target, LOOKUP, {"token": token}).status == 200


def refused(said: Said) -> tuple[int, list[str]]:
    return said.status, said.errors


@pytest.mark.parametrize("given", [{"ca_file": NODES_CA_FILE}, {"ca_path": "/etc/vault.d/"}, {"ca_file": ""}, {}])
def test_a_file_that_is_there_is_trusted_and_so_are_the_system_roots(given: dict[str, str]) -> None:
    a, token = demoted()
    assert a.update_primary("east", token, **given).status == 200


@pytest.mark.parametrize("key", ["ca_file", "ca_path"])
def test_a_file_that_is_not_on_the_node_is_refused_before_anybody_is_called(key: str) -> None:
    a, token = demoted()
    said = a.update_primary("east", token, **{key: "/home/me/ca.pem"})
    assert refused(said) == (500, [WRONG_FILE.format("/home/me/ca.pem")])
    assert is_left(a, "west/1", token)


def test_of_both_the_file_counts() -> None:
    a, token = demoted()
    assert a.update_primary("east", token, ca_file="/nope", ca_path="/etc/vault.d").status == 500
    assert a.update_primary("east", token, ca_file=NODES_CA_FILE, ca_path="/nope").status == 200


def test_where_the_system_roots_do_not_know_the_authority_it_takes_the_file() -> None:
    """Failure mode 5: nothing was sent to a server that is not trusted, so the token is still good."""
    a, token = demoted(system_roots_hold_ca=False)
    assert refused(a.update_primary("east", token)) == (500, [X509.format(WEST)])
    assert is_left(a, "west/1", token)
    assert a.update_primary("east", token, ca_file=NODES_CA_FILE).status == 200


def test_a_token_for_a_public_key_needs_no_file_because_nobody_is_called() -> None:
    a, _ = demoted(system_roots_hold_ca=False)
    key = a.post("east/1", "sys/replication/dr/secondary/generate-public-key", token=a.has["root_token"])
    body = {"id": "east-by-key", "secondary_public_key": key.data["secondary_public_key"]}
    said = a.post("west/1", "sys/replication/dr/primary/secondary-token", body, token=a.has["root_token"])
    assert a.update_primary("east", said.data["token"], ca_file="/nope").status == 200


def test_a_new_secondary_looks_at_the_file_too_and_keeps_what_it_has_where_it_is_refused() -> None:
    f = founder()
    f.enable_primary()
    body = {"token": f.activation(secondary_id="west-1"), "ca_file": "/nope"}
    assert refused(f.post("west", "secondary/enable", body, root="west")) == (500, [WRONG_FILE.format("/nope")])
    assert f.a.ask("west/1", "auth/token/lookup-self", token=f.has["west"].root).status == 200
    assert f.enable_secondary(body["token"]).status == 200


def test_an_unused_token_is_one_of_the_tokens_that_dr_replicates() -> None:
    """REPL-OV; its bundle still names the primary that made it, so new ones must be issued all the same (DRDOC2)."""
    a = asker(clusters="east west north")
    token = a.activation("east", "later")
    a.wait(1)
    a.fail_over("east", "west")
    assert is_left(a, "west/1", token)
    assert a.update_primary("north", token).status == 500  # the address in it is of the primary that is gone
    assert a.update_primary("north", token, primary_api_addr=WEST).status == 200
    assert not is_left(a, "west/1", token)
    a.wait(10)
    shown = a.ask("north/1", "sys/replication/dr/status").data
    assert shown["connection_state"] != "ready"


def test_a_token_that_had_not_arrived_is_not_there_after_a_promotion() -> None:
    a = asker(stream_delay_s=5.0)
    token = a.activation("east", "later")
    a.wait(1)
    a.fail_over("east", "west")
    assert not is_left(a, "west/1", token)


def test_a_token_that_was_used_is_not_good_once_more_after_a_promotion() -> None:
    a = asker(clusters="east west north")
    token = a.activation("east", "north-again")
    assert a.update_primary("north", token).status == 200
    a.wait(5)
    a.fail_over("east", "west")
    assert not is_left(a, "west/1", token)


def test_where_unused_tokens_stay_where_they_were_made_a_promoted_cluster_knows_none() -> None:
    a = asker(activation_tokens_replicate=False)
    token = a.activation("east", "later")
    a.wait(1)
    a.fail_over("east", "west")
    assert not is_left(a, "west/1", token)


def test_a_cluster_that_is_promoted_again_has_what_its_primary_had() -> None:
    a = asker()
    kept = a.activation("east", "kept")
    a.wait(1)
    cut = a.fail_over("east", "west")
    a.world.faults.clear(cut)
    lost = a.activation("east", "of-the-time-with-two")
    a.rejoin("east", "west")
    theirs = a.activation("west", "theirs")
    a.wait(1)
    a.fail_over("west", "east")
    assert [is_left(a, "east/1", token) for token in (kept, lost, theirs)] == [True, False, True]


@pytest.mark.parametrize(
    ("status", "line"), [(429, "429 Too Many Requests"), (502, "502 Bad Gateway"), (472, "472 status code 472")]
)
def test_what_came_in_place_of_the_bundle_is_told_by_its_status_line(status: int, line: str) -> None:
    a, token = demoted()  # APOC, ISS20421: the message is the status line, in Go's words
    a.fault(FaultKind.STRANGE, "node:west/1", text="nobody", status=status)
    text = f'error response unwrapping secondary token; status code is {status}, message is "{line}"'
    assert refused(a.update_primary("east", token)) == (500, [text])


def test_a_text_that_is_no_token_and_names_no_address_is_refused_as_none() -> None:
    a, _ = demoted()
    text = a.world.clusters["east"].knobs.no_bundle_text
    assert refused(a.update_primary("east", "nonsense")) == (500, [text])
