"""What a real OpenBao and the lab are both asked: every endpoint of the lab but those of replication."""

from __future__ import annotations

from collections.abc import Mapping

from tests.support.asking_both import Ask
from tests.support.openbao_asks_approle import APPROLE_ASKS
from tests.support.openbao_asks_mounts import MOUNTS
from tests.support.openbao_asks_policies import POLICY_ASKS
from tests.support.openbao_asks_quotas import ABOUT, QUOTAS
from tests.support.openbao_asks_raft import RAFT
from tests.support.openbao_asks_secrets import KV
from tests.support.openbao_asks_system import THE_REST
from tests.support.openbao_asks_tokens import TOKEN_ASKS
from tests.support.openbao_asks_wrapping import WRAPPING

PROMOTION = 'path "sys/replication/dr/secondary/promote" { capabilities = ["update"] }\n'
ATTEMPT, UPDATE = "/v1/sys/generate-root/attempt", "/v1/sys/generate-root/update"
SHORT = {"key": "AAAA", "nonce": "x"}

EVERY_NODE = (
    Ask(name="health", path="/v1/sys/health", token=""),
    Ask(name="health HEAD", path="/v1/sys/health", method="HEAD", token=""),
    Ask(name="health POST", path="/v1/sys/health", method="POST", body={}, token=""),
    Ask(name="health bad code", path="/v1/sys/health?standbycode=abc", token=""),
    Ask(name="health in a namespace", path="/v1/sys/health", token="", headers={"X-Vault-Namespace": "nope"}),
    Ask(name="standby health", path="/v1/sys/health", token="", standby=True),
    Ask(name="standby health 299", path="/v1/sys/health?standbycode=299", token="", standby=True),
    Ask(name="standby health ok", path="/v1/sys/health?standbyok=true", token="", standby=True),
    Ask(name="leader", path="/v1/sys/leader", token=""),
    Ask(name="standby leader", path="/v1/sys/leader", token="", standby=True),
    Ask(name="leader with a bad token", path="/v1/sys/leader", token="s.unknown"),
    Ask(name="seal-status", path="/v1/sys/seal-status", token=""),
    Ask(name="standby seal-status", path="/v1/sys/seal-status", token="", standby=True),
    Ask(name="init", path="/v1/sys/init", token=""),
    Ask(name="unseal without a key", path="/v1/sys/unseal", method="PUT", body={}, token=""),
    Ask(name="unseal with a short key", path="/v1/sys/unseal", method="PUT", body={"key": "00"}, token=""),
    Ask(name="unseal when unsealed", path="/v1/sys/unseal", method="PUT", body={"key": "$share_1"}, token=""),
)
FIVE_OF_WHICH_THREE = {"secret_shares": 5, "secret_threshold": 3}
KEPT = {
    "root": ["root_token"],
    **{f"share_{n}": ["keys", str(n - 1)] for n in range(1, 6)},
    **{f"share_{n}_base64": ["keys_base64", str(n - 1)] for n in range(1, 6)},
}
BAD_SEALS: Mapping[str, object] = {
    "nothing": {},
    "no threshold": {"secret_shares": 5},
    "no shares": {"secret_threshold": 3},
    "a threshold above the shares": {"secret_shares": 3, "secret_threshold": 5},
    "a threshold of one": {"secret_shares": 3, "secret_threshold": 1},
    "too many shares": {"secret_shares": 256, "secret_threshold": 3},
    "less than no shares": {"secret_shares": -1, "secret_threshold": 3},
    "recovery shares": {"recovery_shares": 5, "recovery_threshold": 3},
    "one recovery share too": FIVE_OF_WHICH_THREE | {"recovery_shares": 1},
    "too few PGP keys": FIVE_OF_WHICH_THREE | {"pgp_keys": ["a"]},
}
# To a single node that was never initialised, in this order.
FROM_EMPTY = (
    Ask(name="empty health", path="/v1/sys/health", token=""),
    Ask(name="empty health 299", path="/v1/sys/health?uninitcode=299", token=""),
    Ask(name="empty health HEAD", path="/v1/sys/health", method="HEAD", token=""),
    Ask(name="empty seal-status", path="/v1/sys/seal-status", token=""),
    Ask(name="empty leader", path="/v1/sys/leader", token=""),
    Ask(name="empty init", path="/v1/sys/init", token=""),
    Ask(name="empty mounts", path="/v1/sys/mounts", token="s.unknown"),
    Ask(name="empty unseal", path="/v1/sys/unseal", method="PUT", body={"key": "ab" * 33}, token=""),
    Ask(name="empty unseal without a key", path="/v1/sys/unseal", method="PUT", body={}, token=""),
    Ask(name="empty unseal reset", path="/v1/sys/unseal", method="PUT", body={"reset": True}, token=""),
    *(
        Ask(name=f"init with {name}", path="/v1/sys/init", method="PUT", body=body, token="")
        for name, body in BAD_SEALS.items()
    ),
    Ask(name="init DELETE", path="/v1/sys/init", method="DELETE", token=""),
    Ask(name="init with text", path="/v1/sys/init", method="PUT", body={"secret_shares": "5"}, token=""),
    Ask(name="init", path="/v1/sys/init", method="PUT", body=FIVE_OF_WHICH_THREE, token="", keep=KEPT),
    Ask(name="init again", path="/v1/sys/init", method="PUT", body=FIVE_OF_WHICH_THREE, token=""),
    Ask(name="init again with nothing", path="/v1/sys/init", method="PUT", body={}, token=""),
    Ask(name="sealed init", path="/v1/sys/init", token=""),
    Ask(name="sealed health", path="/v1/sys/health", token=""),
    Ask(name="sealed seal-status", path="/v1/sys/seal-status", token=""),
    Ask(name="sealed mounts", path="/v1/sys/mounts", token="$root"),
    Ask(name="seal share 1", path="/v1/sys/unseal", method="PUT", body={"key": "$share_1"}, token=""),
    Ask(name="seal share 1 again", path="/v1/sys/unseal", method="PUT", body={"key": "$share_1"}, token=""),
    Ask(name="seal reset", path="/v1/sys/unseal", method="PUT", body={"reset": True}, token=""),
    Ask(name="seal share 2", path="/v1/sys/unseal", method="PUT", body={"key": "$share_2"}, token=""),
    Ask(name="seal share 3", path="/v1/sys/unseal", method="PUT", body={"key": "$share_3"}, token=""),
    Ask(name="seal wrong share", path="/v1/sys/unseal", method="PUT", body={"key": "22" * 33}, token=""),
    Ask(name="seal starts over", path="/v1/sys/seal-status", token=""),
    Ask(name="seal share 3 first", path="/v1/sys/unseal", method="PUT", body={"key": "$share_3"}, token=""),
    Ask(name="seal share 4 second", path="/v1/sys/unseal", method="PUT", body={"key": "$share_4"}, token=""),
    Ask(name="seal share 5 last", path="/v1/sys/unseal", method="PUT", body={"key": "$share_5"}, token=""),
)
GENERATION = (
    Ask(name="no generation", path=ATTEMPT, token=""),
    Ask(name="share without a key", path=UPDATE, method="PUT", body={"nonce": "x"}, token=""),
    Ask(name="share no base64", path=UPDATE, method="PUT", body={"nonce": "x", "key": "!!"}, token=""),
    Ask(name="share too short", path=UPDATE, method="PUT", body=SHORT, token=""),
    Ask(name="share with nothing running", path=UPDATE, method="PUT", body={"nonce": "x", "key": "$share_1"}, token=""),
    Ask(name="start with a bad OTP", path=ATTEMPT, method="PUT", body={"otp": "short"}, token=""),
    Ask(name="start", path=ATTEMPT, method="PUT", body={}, token="", keep={"nonce": ["nonce"], "otp": ["otp"]}),
    Ask(name="start again", path=ATTEMPT, method="PUT", body={}, token=""),
    Ask(name="generation", path=ATTEMPT, token=""),
    Ask(name="generation at a standby", path=ATTEMPT, token="", standby=True),
    Ask(name="wrong nonce", path=UPDATE, method="PUT", body={"key": "$share_1", "nonce": "bad"}, token=""),
    Ask(name="share 1", path=UPDATE, method="PUT", body={"key": "$share_1", "nonce": "$nonce"}, token=""),
    Ask(name="share 1 again", path=UPDATE, method="PUT", body={"key": "$share_1", "nonce": "$nonce"}, token=""),
    Ask(name="share 2", path=UPDATE, method="PUT", body={"key": "$share_2", "nonce": "$nonce"}, token=""),
    Ask(name="bogus share", path=UPDATE, method="PUT", body={"key": "22" * 33, "nonce": "$nonce"}, token=""),
    Ask(name="generation starts over", path=ATTEMPT, token=""),
    Ask(name="share 3 first", path=UPDATE, method="PUT", body={"key": "$share_3", "nonce": "$nonce"}, token=""),
    Ask(name="share 4 second", path=UPDATE, method="PUT", body={"key": "$share_4_base64", "nonce": "$nonce"}, token=""),
    Ask(name="share 5 last", path=UPDATE, method="PUT", body={"key": "$share_5", "nonce": "$nonce"}, token=""),
    Ask(name="generation done", path=ATTEMPT, token=""),
    Ask(name="cancel nothing", path=ATTEMPT, method="DELETE", token=""),
    Ask(name="start a second", path=ATTEMPT, method="PUT", body={}, token="", standby=True),
    Ask(name="cancel it", path=ATTEMPT, method="DELETE", token=""),
    Ask(name="cancelled", path=ATTEMPT, token=""),
)
SYSTEM = (
    Ask(name="autopilot", path="/v1/sys/storage/raft/autopilot/state"),
    Ask(name="autopilot without a token", path="/v1/sys/storage/raft/autopilot/state", token=""),
    Ask(name="raft configuration", path="/v1/sys/storage/raft/configuration"),
    Ask(name="ha-status", path="/v1/sys/ha-status"),
    Ask(name="ha-status without a token", path="/v1/sys/ha-status", token=""),
    Ask(name="step-down without a token", path="/v1/sys/step-down", method="PUT", body={}, token=""),
    Ask(name="seal without a token", path="/v1/sys/seal", method="PUT", body={}, token=""),
    Ask(name="unwrap garbage", path="/v1/sys/wrapping/unwrap", method="PUT", token="s.garbage"),
    Ask(name="unwrap without a token", path="/v1/sys/wrapping/unwrap", method="PUT", token=""),
    Ask(name="wrapping lookup", path="/v1/sys/wrapping/lookup", method="PUT", body={"token": "s.no"}, token=""),
    Ask(name="unknown path", path="/v1/sys/nope"),
    Ask(name="unknown path without a token", path="/v1/sys/nope", token=""),
    Ask(name="outside of /v1/", path="/nothing/here", token=""),
    Ask(name="login to nothing", path="/v1/auth/nope/login", method="POST", body={"role": "x"}, token=""),
)
POLICIES = (
    Ask(name="policy write", path="/v1/sys/policies/acl/promotion", method="PUT", body={"policy": PROMOTION}),
    Ask(name="policy write bad", path="/v1/sys/policies/acl/bad", method="PUT", body={"policy": "path {"}),
    Ask(name="policy read", path="/v1/sys/policies/acl/promotion"),
    Ask(name="policy read missing", path="/v1/sys/policies/acl/nope"),
    Ask(name="policy list", path="/v1/sys/policies/acl", method="LIST", part=["errors"]),
    Ask(name="policy list by GET", path="/v1/sys/policies/acl?list=true", part=["lease_duration"]),
    Ask(name="legacy policy write", path="/v1/sys/policy/legacy", method="PUT", body={"policy": PROMOTION}),
    Ask(name="policy delete", path="/v1/sys/policies/acl/legacy", method="DELETE"),
)
TOKENS = (
    Ask(name="lookup-self", path="/v1/auth/token/lookup-self"),
    Ask(name="lookup-self bad token", path="/v1/auth/token/lookup-self", token="s.unknown"),
    Ask(name="lookup-self no token", path="/v1/auth/token/lookup-self", token=""),
    Ask(
        name="role write",
        path="/v1/auth/token/roles/handler",
        method="POST",
        body={"allowed_policies": "promotion", "orphan": True, "renewable": False, "token_type": "batch"},
    ),
    Ask(
        name="create by role",
        path="/v1/auth/token/create/handler",
        method="POST",
        body={"ttl": "8h"},
        keep={"batch": ["auth", "client_token"]},
    ),
    Ask(name="create by no role", path="/v1/auth/token/create/nope", method="POST", body={"ttl": "8h"}),
    Ask(name="lookup-self batch", path="/v1/auth/token/lookup-self", token="$batch"),
    Ask(name="lookup batch", path="/v1/auth/token/lookup", method="POST", body={"token": "$batch"}),
    Ask(name="lookup nothing", path="/v1/auth/token/lookup", method="POST", body={"token": "s.no"}),
    Ask(
        name="create orphan",
        path="/v1/auth/token/create-orphan",
        method="POST",
        body={"type": "batch", "policies": ["promotion"], "ttl": "1h"},
    ),
    Ask(
        name="create service",
        path="/v1/auth/token/create",
        method="POST",
        body={"policies": ["promotion"], "ttl": "1h", "no_parent": True},
        keep={"service": ["auth", "client_token"]},
    ),
    Ask(name="create too long", path="/v1/auth/token/create", method="POST", body={"ttl": "100000h"}),
    Ask(name="create batch as root", path="/v1/auth/token/create", method="POST", body={"type": "batch"}),
    Ask(
        name="create unknown policy",
        path="/v1/auth/token/create",
        method="POST",
        body={"policies": ["nope"], "ttl": "1h"},
    ),
    Ask(
        name="create batch with uses",
        path="/v1/auth/token/create",
        method="POST",
        body={"type": "batch", "policies": ["default"], "num_uses": 2},
    ),
    Ask(name="create by a batch token", path="/v1/auth/token/create", method="POST", body={}, token="$batch"),
    Ask(
        name="capabilities of one path",
        path="/v1/sys/capabilities-self",
        method="POST",
        body={"paths": ["sys/replication/dr/secondary/promote"]},
        token="$service",
    ),
    Ask(
        name="capabilities of two paths",
        path="/v1/sys/capabilities-self",
        method="POST",
        body={"paths": ["sys/replication/dr/secondary/promote", "sys/seal"]},
        token="$service",
    ),
    Ask(name="capabilities of none", path="/v1/sys/capabilities-self", method="POST", body={}, token="$service"),
    Ask(name="denied", path="/v1/sys/mounts", token="$service"),
    Ask(name="denied to a batch token", path="/v1/sys/mounts", token="$batch"),
    Ask(name="step-down denied", path="/v1/sys/step-down", method="PUT", body={}, token="$service"),
    Ask(name="revoke-self batch", path="/v1/auth/token/revoke-self", method="POST", body={}, token="$batch"),
    Ask(name="revoke-self", path="/v1/auth/token/revoke-self", method="POST", body={}, token="$service"),
    Ask(name="revoked", path="/v1/auth/token/lookup-self", token="$service"),
)
APPROLE = (
    Ask(
        name="approle write",
        path="/v1/auth/approle/role/r1",
        method="POST",
        body={"token_policies": "default", "token_ttl": "1h"},
    ),
    Ask(name="role-id", path="/v1/auth/approle/role/r1/role-id", keep={"role_id": ["data", "role_id"]}),
    Ask(name="role-id of nobody", path="/v1/auth/approle/role/nope/role-id"),
    Ask(
        name="secret-id",
        path="/v1/auth/approle/role/r1/secret-id",
        method="POST",
        body={},
        keep={"secret_id": ["data", "secret_id"]},
    ),
    Ask(
        name="login",
        path="/v1/auth/approle/login",
        method="POST",
        body={"role_id": "$role_id", "secret_id": "$secret_id"},
        token="",
    ),
    Ask(
        name="login bad secret",
        path="/v1/auth/approle/login",
        method="POST",
        body={"role_id": "$role_id", "secret_id": "bad"},
        token="",
    ),
    Ask(name="login without a role", path="/v1/auth/approle/login", method="POST", body={"secret_id": "x"}, token=""),
)
SECRETS = (
    Ask(name="mount 1", path="/v1/sys/mounts/one", method="POST", body={"type": "kv", "options": {"version": "1"}}),
    Ask(name="mount 1 again", path="/v1/sys/mounts/one", method="POST", body={"type": "kv"}),
    Ask(name="mount 2", path="/v1/sys/mounts/two", method="POST", body={"type": "kv", "options": {"version": "2"}}),
    Ask(name="mounts", path="/v1/sys/mounts", part=["warnings"]),
    Ask(name="mounts without a token", path="/v1/sys/mounts", token=""),
    Ask(name="write 1", path="/v1/one/foo", method="PUT", body={"a": "b"}),
    Ask(name="read 1", path="/v1/one/foo"),
    Ask(name="read 1 missing", path="/v1/one/nope"),
    Ask(name="list 1", path="/v1/one/", method="LIST"),
    Ask(name="write 1 empty", path="/v1/one/foo", method="PUT", body={}),
    Ask(name="write 1 bad JSON", path="/v1/one/foo", method="POST", body="{bad"),
    Ask(name="delete 1", path="/v1/one/foo", method="DELETE"),
    Ask(name="write 2", path="/v1/two/data/foo", method="POST", body={"data": {"a": "b"}}),
    Ask(name="write 2 no data", path="/v1/two/data/foo", method="POST", body={"a": "b"}),
    Ask(
        name="write 2 too late",
        path="/v1/two/data/foo",
        method="POST",
        body={"options": {"cas": 0}, "data": {"a": "b"}},
    ),
    Ask(name="read 2", path="/v1/two/data/foo"),
    Ask(name="delete 2", path="/v1/two/data/foo", method="DELETE"),
    Ask(name="read 2 deleted", path="/v1/two/data/foo"),
    Ask(name="read 2 missing", path="/v1/two/data/nope"),
    Ask(name="no such mount", path="/v1/nowhere/foo"),
    Ask(
        name="standby without forwarding",
        path="/v1/one/foo",
        method="POST",
        body={"a": "2"},
        standby=True,
        headers={"X-Vault-No-Request-Forwarding": "1"},
    ),
    Ask(name="standby forwards a write", path="/v1/one/foo", method="POST", body={"a": "2"}, standby=True),
)
ASKS = (
    *EVERY_NODE,
    *GENERATION,
    *SYSTEM,
    *POLICIES,
    *POLICY_ASKS,
    *TOKENS,
    *TOKEN_ASKS,
    *APPROLE,
    *APPROLE_ASKS,
    *SECRETS,
    *KV,
    *MOUNTS,
    *WRAPPING,
    *RAFT,
    *THE_REST,
    *ABOUT,
    *QUOTAS,
)
