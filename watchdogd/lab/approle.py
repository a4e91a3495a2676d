"""AppRoles and their secret ids: what is stored, read for what it says.

Source: developer.hashicorp.com/vault/api-docs/auth/approle; OBS: OpenBao was asked the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from watchdogd.lab.call import Call, duration_s, names_in, rfc3339
from watchdogd.lab.reply import Rejected, errors
from watchdogd.lab.token_role import as_count, as_flag

APPROLES, SECRETS = "auth/approle/role/", "auth/approle/secret/"
_TYPES = ("default", "service", "batch", "default-service", "default-batch")
_NO_CONSTRAINT = "1 error occurred:\n\t* at least one constraint should be enabled on the role\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRole:
    """One role. Times and uses are 0 for no limit."""

    name: str
    role_id: str
    bind_secret_id: bool = True
    secret_id_ttl_s: float = 0.0
    secret_id_num_uses: int = 0
    token_policies: tuple[str, ...] = ()
    token_bound_cidrs: tuple[str, ...] = ()
    token_ttl_s: float = 0.0
    token_max_ttl_s: float = 0.0
    token_period_s: float = 0.0
    token_explicit_max_ttl_s: float = 0.0
    token_num_uses: int = 0
    token_no_default_policy: bool = False
    token_type: str = "default"  # noqa: S105  a kind, no secret

    @classmethod
    def of(cls, name: str, fields: Mapping[str, object]) -> AppRole:
        """Raises Rejected: a field that is none, or a role that Vault refuses."""

        def seconds(field: str) -> float:
            return duration_s(str(fields.get(field) or ""))

        def count(field: str) -> int:
            return as_count(fields.get(field, 0), f"{field} cannot be negative")

        role = cls(
            name=name,
            role_id=str(fields.get("role_id") or ""),
            bind_secret_id=as_flag(fields.get("bind_secret_id", True)),
            secret_id_ttl_s=seconds("secret_id_ttl"),
            secret_id_num_uses=count("secret_id_num_uses"),
            token_policies=names_in(fields.get("token_policies", fields.get("policies"))),
            token_bound_cidrs=names_in(fields.get("token_bound_cidrs")),
            token_ttl_s=seconds("token_ttl"),
            token_max_ttl_s=seconds("token_max_ttl"),
            token_period_s=seconds("token_period") or seconds("period"),
            token_explicit_max_ttl_s=seconds("token_explicit_max_ttl"),
            token_num_uses=count("token_num_uses"),
            token_no_default_policy=as_flag(fields.get("token_no_default_policy", False)),
            token_type=str(fields.get("token_type") or "default"),
        )
        if role.token_type not in _TYPES:
            raise Rejected(errors(400, f"invalid 'token_type' value \"{role.token_type}\""))
        if 0 < role.token_max_ttl_s < role.token_ttl_s:
            raise Rejected(errors(400, "'token_ttl' cannot be greater than 'token_max_ttl'"))
        if not role.bind_secret_id and not role.token_bound_cidrs:
            raise Rejected(errors(500, _NO_CONSTRAINT))
        return role

    def shown(self) -> dict[str, object]:
        """As GET shows it."""
        return {
            "bind_secret_id": self.bind_secret_id,
            "local_secret_ids": False,
            "secret_id_bound_cidrs": None,
            "secret_id_num_uses": self.secret_id_num_uses,
            "secret_id_ttl": int(self.secret_id_ttl_s),
            "token_bound_cidrs": list(self.token_bound_cidrs),
            "token_explicit_max_ttl": int(self.token_explicit_max_ttl_s),
            "token_max_ttl": int(self.token_max_ttl_s),
            "token_no_default_policy": self.token_no_default_policy,
            "token_num_uses": self.token_num_uses,
            "token_period": int(self.token_period_s),
            "token_policies": list(self.token_policies),
            "token_strictly_bind_ip": False,
            "token_ttl": int(self.token_ttl_s),
            "token_type": self.token_type,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretId:
    """One secret id of a role. `num_uses` 0 means any number, `ttl_s` 0 for ever."""

    text: str
    role: str
    accessor: str
    created_utc_s: float = 0.0
    ttl_s: float = 0.0
    num_uses: int = 0
    metadata: Mapping[str, str]

    @property
    def key(self) -> str:
        """Where it is stored."""
        return f"{SECRETS}{self.role}/{self.text}"

    def has_expired(self, utc_s: float) -> bool:
        """By the clock of the cluster that judges it."""
        return bool(self.ttl_s) and utc_s >= self.created_utc_s + self.ttl_s

    def stored(self) -> dict[str, object]:
        """What is written."""
        return {
            "accessor": self.accessor,
            "created": self.created_utc_s,
            "ttl": self.ttl_s,
            "uses": self.num_uses,
            "metadata": dict(self.metadata),
        }

    def shown(self) -> dict[str, object]:
        """As a lookup shows it: never the secret itself."""
        created = rfc3339(self.created_utc_s)
        ends = rfc3339(self.created_utc_s + self.ttl_s) if self.ttl_s else "0001-01-01T00:00:00Z"
        return {
            "cidr_list": [],
            "creation_time": created,
            "expiration_time": ends,
            "last_updated_time": created,
            "metadata": dict(self.metadata),
            "secret_id_accessor": self.accessor,
            "secret_id_num_uses": self.num_uses,
            "secret_id_ttl": int(self.ttl_s),
            "token_bound_cidrs": [],
        }


def role_named(call: Call, name: str) -> AppRole | None:
    """The role of a name."""
    entry = call.store.get(APPROLES + name)
    return None if entry is None else AppRole.of(name, entry.value)


def role_by_id(call: Call, role_id: str) -> AppRole | None:
    """The role of a role id."""
    for key in call.store.keys(APPROLES):
        role = role_named(call, key.removeprefix(APPROLES))
        if role is not None and role.role_id == role_id:
            return role
    return None


def secret_of(call: Call, role: str, text: str) -> SecretId | None:
    """A living secret id of a role."""
    entry = call.store.get(f"{SECRETS}{role}/{text}")
    if entry is None:
        return None
    fields = entry.value
    metadata = fields.get("metadata")
    secret = SecretId(
        text=text,
        role=role,
        accessor=str(fields.get("accessor", "")),
        created_utc_s=float(str(fields.get("created", 0.0))),
        ttl_s=float(str(fields.get("ttl", 0.0))),
        num_uses=int(str(fields.get("uses", 0))),
        metadata=dict(metadata) if isinstance(metadata, dict) else {},
    )
    return None if secret.has_expired(call.utc_s) else secret


def secrets_of(call: Call, role: str) -> list[SecretId]:
    """All living secret ids of a role."""
    prefix = f"{SECRETS}{role}/"
    found = (secret_of(call, role, key.removeprefix(prefix)) for key in call.store.keys(prefix))
    return [secret for secret in found if secret is not None]


def metadata_in(call: Call) -> dict[str, str]:
    """The `metadata` of a request: JSON, or `key=value` with commas. Raises Rejected (400)."""
    given = call.body().get("metadata")
    if isinstance(given, dict | list):
        raise Rejected(errors(400, 'Field validation failed: error converting input for field "metadata"'))
    text = str(given or "").strip()
    try:
        parsed = json.loads(text) if text.startswith("{") else dict(pair.split("=", 1) for pair in names_in(text))
    except (ValueError, RecursionError) as exc:
        text = "failed to parse metadata: failed to parse the input: invalid <key,value> format"
        raise Rejected(errors(400, text)) from exc
    return {str(key): str(value) for key, value in parsed.items()}
