"""Policies: exact paths, globs, segments; the more specific pattern wins; deny wins over all."""

import pytest

from watchdogd.lab.policies import PolicyTextError, capabilities, parse


def can(text: str, path: str) -> frozenset[str]:
    return capabilities([parse(text)], path)


def test_an_exact_path_allows_itself_only() -> None:
    text = 'path "sys/replication/dr/secondary/promote" { capabilities = ["update"] }'
    assert can(text, "sys/replication/dr/secondary/promote") == {"update"}
    assert can(text, "sys/replication/dr/secondary/promote/x") == frozenset()


def test_a_glob_allows_what_begins_with_it() -> None:
    assert can('path "secret/*" { capabilities = ["read", "list"] }', "secret/data/a/b") == {"read", "list"}


def test_a_plus_stands_for_one_segment() -> None:
    text = 'path "secret/+/a" { capabilities = ["read"] }'
    assert can(text, "secret/data/a") == {"read"}
    assert can(text, "secret/data/x/a") == frozenset()


def test_the_more_specific_pattern_decides() -> None:
    text = 'path "secret/*" { capabilities = ["update"] }\npath "secret/data/a" { capabilities = ["read"] }'
    assert can(text, "secret/data/a") == {"read"}


def test_deny_wins_where_it_is_the_most_specific() -> None:
    text = 'path "secret/*" { capabilities = ["update"] }\npath "secret/data/*" { capabilities = ["deny", "read"] }'
    assert can(text, "secret/data/a") == {"deny"}


def test_policies_add_up_on_the_same_pattern() -> None:
    one, two = parse('path "a" { capabilities = ["read"] }'), parse('path "a" { capabilities = ["update"] }')
    assert capabilities([one, two], "a") == {"read", "update"}


def test_a_policy_may_be_json() -> None:
    assert can('{"path": {"a/*": {"capabilities": ["read"]}}}', "a/b") == {"read"}


def test_comments_and_capabilities_over_several_lines_are_read() -> None:
    assert can('# why\npath "a" {\n  capabilities = [\n "read",\n "sudo" ]\n}\n', "a") == {"read", "sudo"}


@pytest.mark.parametrize("text", ["path {", 'path "a" { capabilities = ["read"] ', "{"])
def test_a_broken_policy_is_refused(text: str) -> None:
    with pytest.raises(PolicyTextError):
        parse(text)
