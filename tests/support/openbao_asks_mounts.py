"""What a real OpenBao and the lab are both asked of mounts: engines, logins, and what a token may see of them."""

from __future__ import annotations

from tests.support.asking_both import Ask


def sys(name: str, path: str, method: str = "GET", body: object = None, **more: object) -> Ask:
    return Ask(name=name, path=f"/v1/sys/{path}", method=method, body=body, **more)  # type: ignore[arg-type]


ENGINES = (
    sys("mount read", "mounts/two"),
    sys("mount read none", "mounts/nope"),
    sys("mount read system", "mounts/sys"),
    sys("mount read identity", "mounts/identity"),
    sys("mount read cubbyhole", "mounts/cubbyhole"),
    sys("mount read login", "mounts/auth/token"),
    sys("mount with all", "mounts/x3", "POST", {
        "type": "kv-v2", "description": "d", "local": True, "seal_wrap": True,
        "config": {"max_lease_ttl": "10m", "force_no_cache": True},
    }),
    sys("mount read with all", "mounts/x3"),
    sys("mounts of all", "mounts", part=["data", "x3/"]),
    sys("unmount with all", "mounts/x3", "DELETE"),
    sys("mount without a type", "mounts/x1", "POST", {}),
    sys("mount of no type", "mounts/x1", "POST", {"type": "nope"}),
    sys("mount of no version", "mounts/x1", "POST", {"type": "kv", "options": {"version": "9"}}),
    sys("mount a cubbyhole", "mounts/x1", "POST", {"type": "cubbyhole"}),
    sys("mount over the system", "mounts/sys", "POST", {"type": "kv"}),
    sys("mount under auth", "mounts/auth/x", "POST", {"type": "kv"}),
    sys("mount with wrong times", "mounts/x1", "POST", {
        "type": "kv", "config": {"default_lease_ttl": "2h", "max_lease_ttl": "1h"},
    }),
    sys("mount deep", "mounts/deep/er", "POST", {"type": "kv"}),
    sys("mount above", "mounts/deep", "POST", {"type": "kv"}),
    sys("mount below", "mounts/deep/er/more", "POST", {"type": "kv"}),
    Ask(name="deep write", path="/v1/deep/er/x", method="PUT", body={"a": 1}),
    Ask(name="deep read", path="/v1/deep/er/x"),
    sys("unmount deep", "mounts/deep/er", "DELETE"),
    Ask(name="deep read unmounted", path="/v1/deep/er/x"),
    sys("mount deep again", "mounts/deep/er", "POST", {"type": "kv"}),
    Ask(name="deep read forgotten", path="/v1/deep/er/x"),
    sys("unmount nothing", "mounts/nope", "DELETE"),
    sys("unmount the system", "mounts/sys", "DELETE"),
    sys("mounts posted", "mounts", "POST", {}),
)  # fmt: skip
TUNES = (
    sys("tune read", "mounts/two/tune"),
    sys("tune read none", "mounts/nope/tune"),
    sys("tune read system", "mounts/sys/tune"),
    sys("tune", "mounts/two/tune", "POST", {"default_lease_ttl": "1h", "max_lease_ttl": "2h", "description": "d"}),
    sys("tuned", "mounts/two/tune"),
    sys("tuned mount", "mounts/two"),
    sys("tune too long", "mounts/two/tune", "POST", {"default_lease_ttl": "10h"}),
    sys("tune back", "mounts/two/tune", "POST", {"default_lease_ttl": "", "max_lease_ttl": "system"}),
    sys("tune all back", "mounts/two/tune", "POST", {"default_lease_ttl": "system"}),
    sys("tuned back", "mounts/two/tune"),
    sys("tune nothing", "mounts/nope/tune", "POST", {"default_lease_ttl": "1h"}),
    sys("tune the system", "mounts/sys/tune", "POST", {"default_lease_ttl": "1h"}),
    sys("tune deleted", "mounts/two/tune", "DELETE"),
    sys("tune down", "mounts/two/tune", "POST", {"options": {"version": "1"}}),
)
LOGIN_MOUNTS = (
    sys("logins", "auth"),
    sys("login read", "auth/token"),
    sys("login read none", "auth/nope"),
    sys("login tune read", "auth/token/tune"),
    sys("login tune read none", "auth/nope/tune"),
    sys("login tune none", "auth/nope/tune", "POST", {"description": "d"}),
    sys("login enable", "auth/people", "POST", {"type": "userpass", "description": "d"}),
    sys("login enable again", "auth/people", "POST", {"type": "userpass"}),
    sys("login enabled", "auth/people"),
    sys("login tune", "auth/people/tune", "POST", {"default_lease_ttl": "1h"}),
    sys("login tuned", "auth/people/tune"),
    sys("login as mount tuned", "mounts/auth/people/tune"),
    sys("login tune deleted", "auth/people/tune", "DELETE"),
    sys("login disable", "auth/people", "DELETE"),
    sys("login disable none", "auth/people", "DELETE"),
    sys("login disable token", "auth/token", "DELETE"),
    sys("login enable token", "auth/more", "POST", {"type": "token"}),
    sys("login without a type", "auth/more", "POST", {}),
    sys("login of no type", "auth/more", "POST", {"type": "nope"}),
    Ask(name="below no login", path="/v1/auth/nope/x"),
    Ask(name="below no login without a token", path="/v1/auth/nope/x", token=""),
    Ask(name="login to nothing bad token", path="/v1/auth/nope/x", token="s.unknown"),
    Ask(name="below a login", path="/v1/auth/approle/nothing"),
)
FEW = 'path "two/data/a/*" { capabilities = ["read"] }\npath "sys/auth/*" { capabilities = ["read"] }\n'
SEEN = (
    sys("few policy", "policies/acl/few", "PUT", {"policy": FEW}),
    Ask(
        name="few token",
        path="/v1/auth/token/create",
        method="POST",
        body={"policies": ["few"], "no_default_policy": True, "ttl": "1h"},
        keep={"few": ["auth", "client_token"]},
    ),
    sys("seen by root", "internal/ui/mounts", part=["warnings"]),
    sys("seen by nobody", "internal/ui/mounts", token=""),
    sys("seen by few", "internal/ui/mounts", token="$few"),
    sys("seen one", "internal/ui/mounts/two"),
    sys("seen one below", "internal/ui/mounts/two/data/x"),
    sys("seen none", "internal/ui/mounts/nope/x"),
    sys("seen one by nobody", "internal/ui/mounts/two", token=""),
    sys("seen one by few", "internal/ui/mounts/two", token="$few"),
    sys("not seen by few", "internal/ui/mounts/one", token="$few"),
    sys("seen login", "internal/ui/mounts/auth/token"),
    sys("logins denied to few", "auth", token="$few"),
    sys("login without sudo", "auth/token", token="$few"),
    sys("login tune without sudo", "auth/token/tune", token="$few"),
    Ask(name="below no login by few", path="/v1/auth/nope/x", token="$few"),
)
MOUNTS = (*ENGINES, *TUNES, *LOGIN_MOUNTS, *SEEN)
