"""What a real OpenBao and the lab are both asked of the rest of the system: audit, keys, licence, metrics."""

from __future__ import annotations

from tests.support.asking_both import Ask
from tests.support.openbao_asks_mounts import sys

FILE = {"type": "file", "options": {"file_path": "/dev/null"}}
AUDIT = (
    sys("audit none", "audit"),
    sys("audit disable none", "audit/nope", "DELETE"),
    sys("audit hash of none", "audit-hash/nope", "PUT", {"input": "x"}),
    sys("audit hash of nothing", "audit-hash/nope", "PUT", {}),
    sys("audit enable", "audit/file", "PUT", FILE),
    sys("audit enable no type", "audit/other", "PUT", {"type": "nope"}),
    sys("audit without a token", "audit", token=""),
    sys("audit without sudo", "audit", token="$few"),
    sys("audit disable", "audit/file", "DELETE"),
)
KEYS = (
    sys("key status", "key-status"),
    sys("key status without a token", "key-status", token=""),
    sys("rotate", "rotate", "PUT"),
    sys("key status rotated", "key-status"),
    sys("rotate keyring", "rotate/keyring", "PUT"),
    sys("key status rotated again", "key-status"),
    sys("rotate without a token", "rotate", "PUT", token=""),
    sys("rotate read", "rotate"),
)
METRICS = (
    sys("metrics without a token", "metrics", token=""),
    sys("metrics of no format", "metrics", token="", headers={"X-Nothing": "1"}),
    sys("metrics", "metrics", part=["Points"]),
    sys("standby metrics", "metrics", part=["Points"], standby=True),
    sys("licence", "license/status"),
    sys("licence without a token", "license/status", token=""),
)
THE_REST: tuple[Ask, ...] = (*AUDIT, *KEYS, *METRICS)
