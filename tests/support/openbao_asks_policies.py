"""What a real OpenBao and the lab are both asked of policies: their texts, what wins over what, what may be carried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tests.support.asking_both import Ask

TEXTS = (
    'path "a" { policy = "write" }',
    'path "a" { policy = "foo" }',
    'path "a" { capabilities = ["foo"] }',
    'path "a" { capabilities = ["read" }',
    'path "a" { capabilities = "read" }',
    'path "a" { capabilities = ["read"] foo = 1 }',
    "foo = 1",
    'path "a" {}',
    "",
    "   ",
    '{"path":{"a":{"capabilities":["read"]}}}',
    '{"path":[{"a":{"capabilities":["read"]}}]}',
    '{"path":{"a":{"capabilities":["foo"]}}}',
    '{"a":1}',
    'path "a" { capabilities = ["read"], }',
    '/* c */ path "a" { # x\n capabilities = ["read",] // y\n}',
    'path "a" { min_wrapping_ttl="3h" max_wrapping_ttl="2h" }',
    'path a { capabilities=["read"] }',
    'name = "x"\npath "a" { capabilities=["read"] }',
    'path "a" "b" { capabilities=["read"] }',
    'path = {"a" = {capabilities=["read"]}}',
    'path "{{identity.entity.id}}/*" { capabilities=["read"] }',
    'path "a" { capabilities = ["READ"] }',
    'path "a" { capabilities = ["read"] ',
    'path "a" {"capabilities" = ["read"]}',
    'path "a\\"b" { capabilities = ["read"] }',
    "cGF0aCAiYSIgeyBjYXBhYmlsaXRpZXM9WyJyZWFkIl0gfQ==",
)
# patterns with their capabilities -> the paths that are asked for
WHAT_WINS: tuple[tuple[Mapping[str, str], tuple[str, ...]], ...] = (
    ({"one/+/b": "read", "one/a/*": "list"}, ("one/a/b",)),
    ({"one/+/b": "read", "one/a/b*": "list"}, ("one/a/b", "one/a/bc")),
    ({"one/+/b/*": "read", "one/a/+/c": "list"}, ("one/a/b/c",)),
    ({"one/+/*": "read", "one/a*": "list"}, ("one/a/b", "one/ab")),
    ({"one/+/+": "read", "one/a/+": "list"}, ("one/a/b",)),
    ({"one/+/+/c": "read", "one/+/b/*": "list"}, ("one/a/b/c",)),
    ({"one/*": "read", "one/a": "list"}, ("one/a", "one/b", "one")),
    ({"+": "read"}, ("one", "one/a")),
    ({"+/a": "read"}, ("one/a", "/a", "one/a/")),
    ({"one/+": "read"}, ("one/", "one/a", "one/a/b")),
    ({"one/a": "read list"}, ("one/a/", "one/a")),
    ({"one/a/": "read list"}, ("one/a/", "one/a")),
    ({"one/a*b": "read"}, ("one/a*b", "one/axb")),
    ({"one/a+": "read"}, ("one/ab", "one/a+")),
    ({"one/a": "deny read"}, ("one/a",)),
    ({"/one/a": "read"}, ("one/a", "/one/a")),
)
PARAMETERS = """
path "par/pp" {
  capabilities = ["create", "update"]
  allowed_parameters = { "x" = [] "y" = ["1", "a*"] }
  denied_parameters = { "z" = [] "y" = ["ab"] }
  required_parameters = ["x"]
}
path "par/st" { capabilities = ["create", "update"] allowed_parameters = { "*" = [] "y" = ["1"] } }
path "par/dn" { capabilities = ["create", "update"] denied_parameters = { "*" = [] } }
path "par/rq" { capabilities = ["create", "update", "read"] required_parameters = ["r"] }
path "par/em" { capabilities = ["create", "update"] allowed_parameters = { } }
path "par/num" { capabilities = ["create", "update"] allowed_parameters = { "n" = [1, true, "true"] } }
path "par/lst" { capabilities = ["create", "update"] allowed_parameters = { "n" = ["a", "b"] } }
"""
CARRIED: tuple[tuple[str, Mapping[str, object]], ...] = (
    ("pp", {"x": 1}),
    ("pp", {"x": 1, "y": "1"}),
    ("pp", {"x": 1, "y": "ac"}),
    ("pp", {"x": 1, "y": "ab"}),
    ("pp", {"x": 1, "y": "b"}),
    ("pp", {"x": 1, "z": 1}),
    ("pp", {"y": "1"}),
    ("pp", {"x": 1, "w": 1}),
    ("pp", {}),
    ("pp", {"X": 1}),
    ("st", {"q": 1}),
    ("st", {"y": "2"}),
    ("st", {"y": "1", "q": 2}),
    ("dn", {"a": 1}),
    ("dn", {}),
    ("rq", {"r": 1}),
    ("rq", {"a": 1}),
    ("em", {"a": 1}),
    ("num", {"n": 1}),
    ("num", {"n": "1"}),
    ("num", {"n": True}),
    ("num", {"n": "true"}),
    ("lst", {"n": ["a", "b"]}),
    ("lst", {"n": "a"}),
)


def _write(name: str, text: str) -> Ask:
    return Ask(name=f"policy {name}", path=f"/v1/sys/policies/acl/{name}", method="PUT", body={"policy": text})


def _token(policy: str, kept: str) -> Ask:
    return Ask(
        name=f"token of {policy}",
        path="/v1/auth/token/create",
        method="POST",
        body={"policies": [policy], "ttl": "1h"},
        keep={kept: ["auth", "client_token"]},
    )


def _texts() -> Iterator[Ask]:
    for number, text in enumerate(TEXTS):
        yield Ask(name=f"policy text {number}", path="/v1/sys/policies/acl/text", method="PUT", body={"policy": text})


def _wins() -> Iterator[Ask]:
    for number, (patterns, paths) in enumerate(WHAT_WINS):
        words = {p: ", ".join(f'"{word}"' for word in given.split()) for p, given in patterns.items()}
        yield _write(f"wins-{number}", "\n".join(f'path "{p}" {{ capabilities = [{w}] }}' for p, w in words.items()))
        yield _token(f"wins-{number}", f"wins_{number}")
        yield Ask(
            name=f"wins {number}",
            path="/v1/sys/capabilities",
            method="POST",
            body={"token": f"$wins_{number}", "paths": list(paths)},
        )


def _carried() -> Iterator[Ask]:
    yield Ask(name="mount par", path="/v1/sys/mounts/par", method="POST", body={"type": "kv"})
    yield _write("parameters", PARAMETERS)
    yield _token("parameters", "parameters")
    for number, (path, data) in enumerate(CARRIED):
        yield Ask(name=f"carried {number}", path=f"/v1/par/{path}", method="PUT", body=data, token="$parameters")
    yield Ask(name="carried by GET", path="/v1/par/rq", token="$parameters")


def _kept() -> Iterator[Ask]:
    yield _write("UPPER", 'path "a" {}')
    yield Ask(name="policy read in lower case", path="/v1/sys/policies/acl/upper", part=["data", "name"])
    for name in ("root", "default", "response-wrapping"):
        yield _write(name, 'path "a" {}') if name != "default" else _write("fine", 'path "a" {}')
        yield Ask(name=f"policy delete {name}", path=f"/v1/sys/policies/acl/{name}", method="DELETE")
        yield Ask(name=f"policy text of {name}", path=f"/v1/sys/policies/acl/{name}", part=["data", "policy"])
    for name, method, body in (
        ("old", "PUT", {"rules": 'path "a" {}'}),
        ("old", "GET", None),
        ("nope", "GET", None),
        ("old", "DELETE", None),
    ):
        part = ["data", "rules"] if method == "GET" else []
        yield Ask(name=f"former {method} {name}", path=f"/v1/sys/policy/{name}", method=method, body=body, part=part)
    for method in ("GET", "LIST"):
        yield Ask(name=f"former {method}", path="/v1/sys/policy", method=method, part=["lease_duration"])


POLICY_ASKS = (*_texts(), *_wins(), *_carried(), *_kept())
