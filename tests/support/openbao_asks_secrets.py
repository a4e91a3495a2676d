"""What a real OpenBao and the lab are both asked of secrets: each verb of KV 1 and 2, what a token needs for it."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.asking_both import Ask

OWN = {"k": 1}
MERGE_PATCH = {"Content-Type": "application/merge-patch+json"}


def kv(name: str, path: str, method: str = "GET", body: object = None, **more: object) -> Ask:
    """A request under the mount of version 2."""
    return Ask(name=f"kv2 {name}", path=f"/v1/two/{path}", method=method, body=body, **more)  # type: ignore[arg-type]


def patch(name: str, path: str, body: object, headers: Mapping[str, str] = MERGE_PATCH) -> Ask:
    return kv(name, path, "PATCH", body, headers=headers)


WRITES = tuple(kv(f"write {n}", "data/many", "POST", {"data": {"n": n}}) for n in (1, 2, 3))
VERSIONS = (
    kv("config", "config"),
    kv("config write", "config", "POST", {"max_versions": 5, "delete_version_after": "0s"}),
    kv("config written", "config"),
    kv("config no number", "config", "POST", {"max_versions": "x"}),
    kv("config no boolean", "config", "POST", {"cas_required": "x"}),
    kv("config delete", "config", "DELETE"),
    *WRITES,
    kv("read newest", "data/many"),
    kv("read first", "data/many?version=1"),
    kv("read none", "data/many?version=9"),
    kv("read zero", "data/many?version=0"),
    kv("read no number", "data/many?version=x"),
    kv("metadata", "metadata/many"),
    kv("metadata missing", "metadata/nope"),
    kv(
        "metadata write", "metadata/many", "PUT", {"max_versions": 2, "cas_required": True, "custom_metadata": {"k": 1}}
    ),
    kv("metadata written", "metadata/many"),
    kv("cas required", "data/many", "POST", {"data": {"n": 4}}),
    kv("cas right", "data/many", "POST", {"data": {"n": 4}, "options": {"cas": "3"}}),
    kv("cas wrong", "data/many", "POST", {"data": {"n": 4}, "options": {"cas": 3}}),
    kv("cas no number", "data/many", "POST", {"data": {"n": 4}, "options": {"cas": "x"}}),
    kv("first is forgotten", "data/many?version=1"),
    kv("metadata of two", "metadata/many"),
    kv("delete a version", "delete/many", "POST", {"versions": [3]}),
    kv("deleted version", "data/many?version=3"),
    kv("undelete", "undelete/many", "POST", {"versions": "3"}),
    kv("undeleted version", "data/many?version=3"),
    kv("destroy", "destroy/many", "PUT", {"versions": ["3", 99]}),
    kv("destroyed version", "data/many?version=3"),
    kv("undelete destroyed", "undelete/many", "POST", {"versions": [3]}),
    kv("metadata of a destroyed one", "metadata/many"),
    kv("delete no versions", "delete/many", "POST", {}),
    kv("undelete no versions", "undelete/many", "POST", {}),
    kv("destroy no versions", "destroy/many", "POST", {}),
    kv("delete no number", "delete/many", "POST", {"versions": "x"}),
    kv("delete versions of nothing", "delete/nope", "POST", {"versions": [1]}),
    kv("delete newest", "data/many", "DELETE"),
    kv("deleted newest", "data/many"),
    kv("delete nothing", "data/nope", "DELETE"),
    kv("metadata delete", "metadata/many", "DELETE"),
    kv("metadata deleted", "metadata/many"),
    kv("deleted for good", "data/many"),
    kv("metadata first", "metadata/early", "PUT", {"custom_metadata": {"a": "b", "c": "d"}}),
    kv("metadata without a version", "metadata/early"),
    kv("data without a version", "data/early"),
    kv("metadata too long", "metadata/early", "PUT", {"custom_metadata": {"k": "x" * 600}}),
    kv("metadata too many", "metadata/early", "PUT", {"custom_metadata": {f"k{n}": "x" for n in range(70)}}),
    kv("no object", "data/early", "POST", {"data": "s"}),
    kv("null", "data/early", "POST", {"data": None}),
    kv("null read", "data/early"),
)
SHAPES = (
    kv("delete after", "metadata/soon", "PUT", {"delete_version_after": "1h30m"}),
    kv("write soon gone", "data/soon", "POST", {"data": {}}),
    kv("metadata of soon gone", "metadata/soon"),
    kv("deep write", "data/deep/er/one", "POST", {"data": {"a": {"b": 1, "c": {}}, "d": None}}),
    kv("list", "metadata/", "LIST"),
    kv("list by GET", "metadata?list=true"),
    kv("list deeper", "metadata/deep", "LIST"),
    kv("list nothing", "metadata/nope", "LIST"),
    kv("list data", "data/deep", "LIST"),
    kv("list the mount", "", "LIST"),
    kv("read the mount", "?"),
    kv("metadata of no name", "metadata"),
    kv("write no name", "data", "PUT", {"data": {}}),
    kv("as version 1", "foo"),
    kv("write as version 1", "foo", "PUT", {"a": "b"}),
    kv("read a deletion", "delete/foo"),
    kv("names", "subkeys/deep/er/one"),
    kv("names of one level", "subkeys/deep/er/one?depth=1"),
    kv("names no number", "subkeys/deep/er/one?depth=x"),
    kv("names of nothing", "subkeys/nope"),
    patch("patch", "data/deep/er/one", {"data": {"a": {"b": None, "e": 2}}}),
    kv("patched", "data/deep/er/one"),
    patch("patch nothing", "data/nope", {"data": {"a": 1}}),
    patch("patch cas", "data/deep/er/one", {"data": {}, "options": {"cas": 7}}),
    patch("patch without data", "data/deep/er/one", {"a": 1}),
    patch("patch no patch", "data/deep/er/one", {"data": {}}, {"Content-Type": "application/json"}),
    patch("patch metadata", "metadata/early", {"custom_metadata": {"a": None, "e": "f"}}),
    kv("patched metadata", "metadata/early"),
    patch("patch metadata of nothing", "metadata/nope", {"max_versions": 2}),
    kv("delete deep", "data/deep/er/one", "DELETE"),
    patch("patch a deleted one", "data/deep/er/one", {"data": {}}),
    kv("names of a deleted one", "subkeys/deep/er/one"),
)
ONE = (
    Ask(name="kv1 ttl", path="/v1/one/lease", method="PUT", body={"ttl": "1h"}),
    Ask(name="kv1 read ttl", path="/v1/one/lease"),
    Ask(name="kv1 no ttl", path="/v1/one/lease", method="PUT", body={"ttl": "soon"}),
    Ask(name="kv1 read no ttl", path="/v1/one/lease"),
    Ask(name="kv1 deep write", path="/v1/one/deep/er", method="PUT", body={"a": 1}),
    Ask(name="kv1 write no name", path="/v1/one", method="PUT", body={"a": 1}),
    Ask(name="kv1 read no name", path="/v1/one"),
    Ask(name="kv1 delete no name", path="/v1/one", method="DELETE"),
    Ask(name="cubbyhole write no name", path="/v1/cubbyhole", method="PUT", body={"a": 1}),
    Ask(name="cubbyhole read no name", path="/v1/cubbyhole"),
    Ask(name="kv1 list", path="/v1/one", method="LIST"),
    Ask(name="kv1 list deeper", path="/v1/one/deep", method="LIST"),
    Ask(name="kv1 list nothing", path="/v1/one/nope", method="LIST"),
    Ask(name="kv1 patch", path="/v1/one/lease", method="PATCH", body={"a": 1}, headers=MERGE_PATCH),
    Ask(name="cubbyhole write", path="/v1/cubbyhole/a", method="PUT", body={"a": 1}),
    Ask(name="cubbyhole read", path="/v1/cubbyhole/a"),
    Ask(name="cubbyhole list", path="/v1/cubbyhole/", method="LIST"),
    Ask(name="cubbyhole delete", path="/v1/cubbyhole/a", method="DELETE"),
    Ask(name="cubbyhole deleted", path="/v1/cubbyhole/a"),
)


def holder(capability: str) -> tuple[Ask, ...]:
    """A token that has one capability on everything of both mounts, as `$capability`."""
    text = "".join(f'path "{mount}/*" {{ capabilities = ["{capability}"] }}\n' for mount in ("one", "two"))
    policy = f"only-{capability}"
    return (
        Ask(name=f"policy {policy}", path=f"/v1/sys/policies/acl/{policy}", method="PUT", body={"policy": text}),
        Ask(
            name=f"token {policy}",
            path="/v1/auth/token/create",
            method="POST",
            body={"policies": [policy], "no_parent": True, "ttl": "1h"},
            keep={capability: ["auth", "client_token"]},
        ),
    )


def tried(capability: str) -> tuple[Ask, ...]:
    """Every kind of path with that token."""
    token = f"${capability}"
    data, versions = {"data": {"a": 1}}, {"versions": [99]}
    paths: tuple[tuple[str, str, object], ...] = (
        ("PUT", "two/data/rights", data),
        ("PUT", f"two/data/new-{capability}", data),
        ("PUT", "two/metadata/rights", {"max_versions": 5}),
        ("PUT", f"two/metadata/fresh-{capability}", {"max_versions": 5}),
        ("PUT", "two/delete/rights", versions),
        ("PUT", "two/undelete/nobody", versions),
        ("PUT", "two/destroy/rights", versions),
        ("PUT", "two/config", {"max_versions": 9}),
        ("PUT", "one/rights", {"a": 2}),
        ("PUT", f"one/new-{capability}", {"a": 2}),
        ("GET", "two/data/rights", None),
        ("GET", "two/metadata/rights", None),
        ("LIST", "two/metadata", None),
        ("LIST", "one", None),
        ("DELETE", "two/data/rights", None),
        ("GET", "nowhere/x", None),
    )
    asks = tuple(
        Ask(name=f"{capability}: {method} {path}", path=f"/v1/{path}", method=method, body=body, token=token)
        for method, path, body in paths
    )
    return (
        *asks,
        Ask(
            name=f"{capability}: PATCH",
            path="/v1/two/data/rights",
            method="PATCH",
            body=data,
            token=token,
            headers=MERGE_PATCH,
        ),
    )


CAPABILITIES = ("create", "update", "read", "list", "delete", "patch")
RIGHTS = (
    Ask(name="kv2 rights", path="/v1/two/data/rights", method="PUT", body={"data": {"a": 0}}),
    Ask(name="kv1 rights", path="/v1/one/rights", method="PUT", body={"a": 0}),
    *(ask for capability in CAPABILITIES for ask in (*holder(capability), *tried(capability))),
)
KV = (*VERSIONS, *SHAPES, *ONE, *RIGHTS)
