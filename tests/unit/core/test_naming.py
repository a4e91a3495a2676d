"""What the service name publishes, for every kind of answer."""

from __future__ import annotations

import pytest

from watchdogd.core.model import ClusterId
from watchdogd.core.naming import NameFact, NameSeen, bare_name, name_fact

EAST, WEST = ClusterId("east"), ClusterId("west")
TARGETS = {EAST: "vault-east.example.com", WEST: "vault-west.example.com"}


@pytest.mark.parametrize(
    ("text", "bare"),
    [
        ("Vault-East.Example.COM.", "vault-east.example.com"),
        ("vault-east.example.com", "vault-east.example.com"),
        (' "vault-east.example.com." ', "vault-east.example.com"),
        ("\\052.example.com.", "*.example.com"),
        ("vault\\137east.example.com.", "vault_east.example.com"),
        ("", ""),
        (".", ""),
    ],
)
def test_a_name_is_compared_without_case_trailing_dot_quotes_and_escapes(text: str, bare: str) -> None:
    assert bare_name(text) == bare


def test_servers_that_publish_the_elected_cluster_in_any_spelling_agree() -> None:
    fact = name_fact({"ns1": "VAULT-EAST.example.com.", "ns2": "vault-east.example.com"}, TARGETS, EAST)
    assert fact == NameFact(
        seen=NameSeen.PUBLISHES_ELECTED, serving=EAST, published=("vault-east.example.com",), off_target=(), unasked=()
    )


def test_a_name_at_the_partner_is_named_with_every_server_that_says_so() -> None:
    fact = name_fact({"ns1": "vault-east.example.com", "ns2": "vault-east.example.com"}, TARGETS, WEST)
    assert (fact.seen, fact.serving, fact.off_target) == (NameSeen.PUBLISHES_PARTNER, EAST, ("ns1", "ns2"))


@pytest.mark.parametrize("answer", ["vault-north.example.com", ""])
def test_a_name_at_no_cluster_of_the_pair_is_a_third_value(answer: str) -> None:
    fact = name_fact({"ns1": answer}, TARGETS, EAST)
    assert (fact.seen, fact.serving, fact.published) == (NameSeen.PUBLISHES_THIRD, None, (answer,))


def test_servers_that_disagree_serve_nobody_and_the_lagging_ones_are_named() -> None:
    fact = name_fact({"ns1": "vault-west.example.com", "ns2": "vault-east.example.com"}, TARGETS, WEST)
    assert (fact.seen, fact.serving, fact.off_target) == (NameSeen.DISAGREE, None, ("ns2",))


def test_a_server_that_answers_nothing_disagrees_with_one_that_answers() -> None:
    assert name_fact({"ns1": "vault-west.example.com", "ns2": ""}, TARGETS, WEST).seen is NameSeen.DISAGREE


@pytest.mark.parametrize("by_server", [{}, {"ns1": None}, {"ns1": None, "ns2": None}])
def test_nobody_asked_is_never_agreement(by_server: dict[str, str | None]) -> None:
    fact = name_fact(by_server, TARGETS, EAST)
    assert (fact.seen, fact.serving, fact.unasked) == (NameSeen.CANNOT_ASK, None, tuple(by_server))


def test_a_server_that_could_not_be_asked_neither_agrees_nor_disagrees() -> None:
    fact = name_fact({"ns1": "vault-east.example.com", "ns2": None}, TARGETS, EAST)
    assert (fact.seen, fact.unasked, fact.off_target) == (NameSeen.PUBLISHES_ELECTED, ("ns2",), ())


def test_with_nobody_elected_the_name_is_shown_but_never_at_the_elected_cluster() -> None:
    fact = name_fact({"ns1": "vault-east.example.com"}, TARGETS, None)
    assert (fact.seen, fact.serving, fact.off_target) == (NameSeen.PUBLISHES_PARTNER, EAST, ("ns1",))
