"""Policies: exact paths, globs, segments; the more specific pattern wins; deny wins over all."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdogd.lab.policies import PolicyTextError, deciding, parse


def can(text: str, path: str) -> frozenset[str]:
    rule = deciding([parse(text)], path)
    return frozenset() if rule is None else rule.effective


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
    both = deciding([one, two], "a")
    assert both is not None
    assert both.capabilities == {"read", "update"}


PRECEDENCE = [
    ("one/+/b", "one/a/*", "one/a/b"),
    ("one/+/b", "one/a/b*", "one/a/b"),
    ("one/+/b/*", "one/a/+/c", "one/a/b/c"),
    ("one/+/*", "one/a*", "one/a/b"),
    ("one/+/+", "one/a/+", "one/a/b"),
    ("one/+/b/*", "one/+/+/c", "one/a/b/c"),
    ("one/*", "one/a", "one/a"),
    ("+/+", "one/+", "one/a"),
]


@pytest.mark.parametrize(("weaker", "stronger", "path"), PRECEDENCE)
def test_of_two_patterns_the_more_specific_one_wins(weaker: str, stronger: str, path: str) -> None:
    for first, second in ((weaker, stronger), (stronger, weaker)):
        words = {weaker: "read", stronger: "list"}
        text = "".join(f'path "{p}" {{ capabilities = ["{words[p]}"] }}\n' for p in (first, second))
        assert can(text, path) == {"list"}


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("+", "one", True),
        ("+", "one/a", False),
        ("+/a", "one/a/", True),
        ("one/+", "one/", True),
        ("one/+", "one/a/b", False),
        ("one/a", "one/a/", True),
        ("one/a/", "one/a", False),
        ("one/a*b", "one/a*b", True),
        ("one/a*b", "one/axb", False),
        ("one/a+", "one/ab", False),
        ("one/a+", "one/a+", True),
        ("/one/a", "one/a", True),
        ("one/+/b*", "one/x/bc/d", True),
        ("{{identity.entity.id}}/*", "x/y", False),
    ],
)
def test_a_pattern_stands_for_these_paths_and_no_others(pattern: str, path: str, *, matches: bool) -> None:
    assert bool(can(f'path "{pattern}" {{ capabilities = ["read"] }}', path)) is matches


def test_the_older_policy_words_stand_for_capabilities() -> None:
    words = {"read": {"read", "list"}, "write": {"create", "read", "update", "delete", "list"}, "deny": {"deny"}}
    for word, stands_for in words.items():
        assert can(f'path "a" {{ policy = "{word}" }}', "a") == stands_for
    assert "sudo" in can('path "a" { policy = "sudo" }', "a")


def carries(text: str, **data: object) -> bool:
    return parse(f'path "a" {{ {text} }}')["a"].lets_carry("PUT", data)


def test_parameters_are_allowed_denied_and_required() -> None:
    text = 'allowed_parameters = { "x" = [] "y" = ["1", "a*"] } denied_parameters = { "y" = ["ab"] } '
    text += 'required_parameters = ["x"]'
    assert carries(text, x=1)
    assert carries(text, x=1, y="1")
    assert carries(text, x=1, y="ac")
    for data in ({"x": 1, "y": "ab"}, {"x": 1, "y": "b"}, {"y": "1"}, {"x": 1, "w": 1}, {}):
        assert not carries(text, **data)


def test_a_star_among_parameters_stands_for_all_others() -> None:
    assert carries('allowed_parameters = { "*" = [] "y" = ["1"] }', q=1, y="1")
    assert not carries('allowed_parameters = { "*" = [] "y" = ["1"] }', y="2")
    assert not carries('denied_parameters = { "*" = [] }', q=1)
    assert carries('denied_parameters = { "*" = [] }')
    assert carries("allowed_parameters = { }", q=1)


def test_wrapping_times_are_bounded() -> None:
    rule = parse('path "a" { min_wrapping_ttl = "1s" max_wrapping_ttl = "2h" }')["a"]
    assert [rule.lets_wrap(s) for s in (0, 0.5, 1, 7200, 7201)] == [False, False, True, True, False]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('path "a" { capabilities = ["foo"] }', 'path "a": path "a": invalid capability "foo"'),
        ('path "a" { policy = "foo" }', 'path "a": path "a": invalid policy "foo"'),
        (
            'path "a" { capabilities = ["read"] foo = 1 }',
            'path "a": 1 error occurred:\n\t* invalid key "foo" on line 1\n\n',
        ),
        ("foo = 1", '1 error occurred:\n\t* invalid key "foo" on line 1\n\n'),
        ("path {", "At 1:8: object expected closing RBRACE got: EOF"),
        ('path "a" { capabilities = ["read" }', "At 1:35: error parsing list, expected comma or list end, got: RBRACE"),
        ('path "a" { capabilities = "read" }', 'path "a": path "a": At 1:27: unknown slice type: *ast.LiteralType'),
        (
            'path "a" { min_wrapping_ttl="3h" max_wrapping_ttl="2h" }',
            'path "a": max_wrapping_ttl cannot be less than min_wrapping_ttl',
        ),
        (
            'path "a" { control_group = { factor "x" { } } }',
            'path "a": this simulator does not enforce control_group, and so refuses it',
        ),
    ],
)
def test_what_a_policy_cannot_say_is_refused_in_vaults_words(text: str, said: str) -> None:
    with pytest.raises(PolicyTextError) as refused:
        parse(text)
    assert str(refused.value) == said


@given(st.text(alphabet='path"{}[]=,# /*\\\nab1<X', max_size=60))
def test_any_text_is_a_policy_or_refused(text: str) -> None:
    with suppress(PolicyTextError):
        parse(text)


def test_a_text_nested_without_end_is_refused() -> None:
    for text in ("a=" + "[" * 5000, "a " + "{a " * 5000):
        with pytest.raises(PolicyTextError):
            parse(text)


def test_a_policy_may_be_json() -> None:
    assert can('{"path": {"a/*": {"capabilities": ["read"]}}}', "a/b") == {"read"}


def test_comments_and_capabilities_over_several_lines_are_read() -> None:
    assert can('/* c */ path "a" { # x\n capabilities = ["read",] // y\n}', "a") == {"read"}
    assert can('# why\npath "a" {\n  capabilities = [\n "read",\n "sudo" ]\n}\n', "a") == {"read", "sudo"}


@pytest.mark.parametrize("text", ["path {", 'path "a" { capabilities = ["read"] ', "{"])
def test_a_broken_policy_is_refused(text: str) -> None:
    with pytest.raises(PolicyTextError):
        parse(text)
