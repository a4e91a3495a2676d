"""What a real OpenBao and the lab are both asked of quotas, namespaces and versions."""

from __future__ import annotations

from tests.support.asking_both import Ask
from tests.support.openbao_asks_mounts import sys

ONE, TWO, CONFIG = "quotas/rate-limit/one", "quotas/rate-limit/two", "quotas/config"
ABSENT = {"X-Vault-Namespace": "nope/"}
QUOTAS: tuple[Ask, ...] = (
    sys("no quotas", "quotas/rate-limit", "LIST"),
    sys("quota config", CONFIG),
    sys("quota of nothing", ONE, "PUT", {}),
    sys("quota of less than nothing", ONE, "PUT", {"rate": -1}),
    sys("quota of no number", ONE, "PUT", {"rate": "x"}),
    sys("quota of no interval", ONE, "PUT", {"rate": 5, "interval": "x"}),
    sys("quota of no mount", ONE, "PUT", {"rate": 5, "path": "nope/"}),
    sys("quota of a mount", ONE, "PUT", {"rate": 1.5, "path": "cubbyhole", "interval": "1h", "block_interval": "5s"}),
    sys("quota read", ONE),
    sys("quota of the same mount", TWO, "PUT", {"rate": 3, "path": "cubbyhole/"}),
    sys("quotas", "quotas/rate-limit", "LIST"),
    sys("quota of all", TWO, "PUT", {"rate": 100_000}),
    sys("quota of all read", TWO),
    sys("quota of nobody read", "quotas/rate-limit/nope"),
    sys("quota of nobody deleted", "quotas/rate-limit/nope", "DELETE"),
    sys("quota without a token", ONE, token=""),
    sys("quota changed", ONE, "PUT", {"rate": 2, "path": "cubbyhole", "interval": 3600}),
    Ask(name="within the quota", path="/v1/cubbyhole/x"),
    Ask(name="the last of the quota", path="/v1/cubbyhole/y"),
    Ask(name="above the quota", path="/v1/cubbyhole/x"),
    Ask(name="above the quota without a token", path="/v1/cubbyhole/x", token=""),
    Ask(name="above the quota of another mount", path="/v1/sys/leader", token="", part=["ha_enabled"]),
    sys("quota deleted", ONE, "DELETE"),
    Ask(name="without a quota again", path="/v1/cubbyhole/x"),
    sys("quota of all deleted", TWO, "DELETE"),
    sys("quota config written", CONFIG, "PUT", {"rate_limit_exempt_paths": ["sys/mounts"]}),
    sys("quota config told", CONFIG),
    sys("quota config without a token", CONFIG, token=""),
)
ABOUT: tuple[Ask, ...] = (
    sys("versions", "version-history", "LIST", part=["warnings"]),
    sys("versions without a token", "version-history", "LIST", token=""),
    sys("versions read", "version-history"),
    sys("reload", "config/reload/license", "PUT"),
    sys("reload nothing", "config/reload/nope", "PUT"),
    sys("in no namespace", "mounts", headers=ABSENT),
    sys("in no namespace without a token", "mounts", token="", headers=ABSENT),
    sys("leader in no namespace", "leader", token="", headers=ABSENT, part=["ha_enabled"]),
    sys("root generation in no namespace", "generate-root/attempt", "PUT", {}, token="", headers=ABSENT),
    sys("in the root namespace", "quotas/rate-limit/nope", headers={"X-Vault-Namespace": "root"}),
    sys("a namespace read", "namespaces/nope"),
)
