"""Everything about Vault that no source confirms: what is doubted, the knob that sets it, its choices, where it shows.

`item` is a line of the reference's list of what is UNCONFIRMED (its section 11) as it stands there, or words of our own
for what the other sections leave open. The first choice is the knob's default. `endpoints` are the paths at which
the choices differ, as `routes.endpoint_of` names them: what depends on one of them is tried with every choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

from watchdogd.lab.knobs import (
    DeadLinkState,
    IndexScope,
    Knobs,
    LicenceBody,
    PeersWhenDemoted,
    RoleWindow,
    StandbyStatus,
    StatusEndpoints,
    TokenEnvelope,
    WindowModes,
)
from watchdogd.lab.routes import SECRETS

Choice = object
"""A value of a field of `Knobs`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """One knob that nobody could confirm."""

    knob: str
    choices: tuple[Choice, ...]
    endpoints: tuple[str, ...]
    item: str


HEALTH, STATUS = "sys/health", "sys/replication/dr/status"
PROMOTE, UPDATE_PRIMARY, DISABLE, MAKE_KEY = (
    f"sys/replication/dr/secondary/{verb}" for verb in ("promote", "update-primary", "disable", "generate-public-key")
)
DEMOTE, ENABLE, ISSUE, REVOKE = (
    f"sys/replication/dr/primary/{verb}" for verb in ("demote", "enable", "secondary-token", "revoke-secondary")
)
FOLLOW = "sys/replication/dr/secondary/enable"
ATTEMPT, UPDATE = (f"sys/replication/dr/secondary/generate-operation-token/{verb}" for verb in ("attempt", "update"))
REINDEX, RECOVER = "sys/replication/reindex", "sys/replication/recover"
LOOKUP, CREATE = "auth/token/lookup-self", "auth/token/create/<role>"
SEAL, STEP_DOWN, HA_STATUS = "sys/seal", "sys/step-down", "sys/ha-status"
OPERATED = (PROMOTE, UPDATE_PRIMARY, DISABLE)
_OPENED: tuple[frozenset[str], ...] = tuple(frozenset(paths) for paths in ((), (SEAL,), (STEP_DOWN,), (HA_STATUS,)))

# Versions at which answers change; the newest of each shape, and one that is not out of its first year.
VERSIONS = ("1.2.3", "1.10.0", "1.16.0", "1.19.0", "2.0.0")


def _doubts(item: str, *lines: tuple[str, tuple[Choice, ...], tuple[str, ...]]) -> tuple[Doubt, ...]:
    return tuple(Doubt(knob=knob, choices=choices, endpoints=at, item=item) for knob, choices, at in lines)


def _text(knob: str, changed: Choice = "permission denied") -> tuple[Choice, ...]:
    """As it is by default, and another text."""
    return (_DEFAULTS[knob], changed)


_DEFAULTS: Mapping[str, Choice] = {f.name: getattr(Knobs(), f.name) for f in fields(Knobs)}

# Section 11, item by item.
LISTED: tuple[Doubt, ...] = (
    *_doubts(
        "invalid dr_operation_token status/text",
        ("invalid_dr_token_status", (403, 400), OPERATED),
        ("invalid_dr_token_text", _text("invalid_dr_token_text", "invalid DR operation token"), OPERATED),
        ("missing_dr_token_status", (400, 403), OPERATED),
    ),
    *_doubts(
        "promote on a primary exact text/status",
        ("not_dr_secondary_status", (400, 405), (*OPERATED, ATTEMPT)),
        ("not_dr_secondary_text", _text("not_dr_secondary_text", "not a DR secondary"), (*OPERATED, ATTEMPT)),
    ),
    *_doubts(
        "duplicate secondary id error",
        ("duplicate_secondary_id_status", (400, 409, 500), (ISSUE,)),
        ("duplicate_secondary_id_text", _text("duplicate_secondary_id_text", "id already in use"), (ISSUE,)),
    ),
    *_doubts(
        "update-primary success text",
        (
            "update_primary_text",
            _text("update_primary_text", "This cluster is updating its primary."),
            (UPDATE_PRIMARY,),
        ),
    ),
    *_doubts("revoke-secondary return code", ("revoke_secondary_status", (204, 200), (REVOKE,))),
    *_doubts(
        "after-demote `primaries`/`known_primary_cluster_addrs` representation ([] vs null vs absent)",
        ("peers_when_demoted", tuple(PeersWhenDemoted), (STATUS,)),
        ("connection_state_when_demoted", ("idle", None, "shutdown"), (STATUS,)),
        ("merkle_root_when_demoted", (True, False), (STATUS,)),
    ),
    *_doubts("single-use vs reusable generated DR op token", ("single_use_op_token", (False, True), OPERATED)),
    *_doubts(
        "whether a second generated DR op token invalidates the first",
        ("new_op_token_revokes_previous", (True, False), (UPDATE,)),
    ),
    *_doubts(
        "modern `state` value with primary dead and time to change",
        ("dead_link_state", tuple(DeadLinkState), (STATUS,)),
        ("idle_after_s", (30.0, 5.0), (STATUS,)),
    ),
    *_doubts("ssct_generation_counter bump on promote", ("ssct_bump_on_promote", (False, True), (STATUS,))),
    *_doubts(
        "2.x authenticated generate-operation-token response envelope and exact policy capabilities (read for GET, "
        "delete for DELETE?)",
        ("authenticated_op_token", (None, True, False), (ATTEMPT, UPDATE)),
        ("op_token_envelope", tuple(TokenEnvelope), (ATTEMPT, UPDATE)),
        ("op_token_read_needs_read", (True, False), (ATTEMPT,)),
        ("op_token_delete_needs_delete", (True, False), (ATTEMPT,)),
    ),
    *_doubts(
        "sys/metrics, sys/step-down, sys/seal, sys/ha-status on DR secondary",
        ("open_on_dr_secondary", _OPENED, (SEAL, STEP_DOWN, HA_STATUS)),
        ("unauthenticated_metrics", (False, True), ("sys/metrics",)),
    ),
    *_doubts("status code of `disabled path`", ("disabled_path_status", (400, 403, 404), (STATUS,))),
    *_doubts("`mount_type` in envelope", ("mount_type_in_envelope", (False, True), (STATUS, PROMOTE))),
    *_doubts(
        "exact multi-error rendering of invalid token",
        ("invalid_token_two_errors", (None, False), (LOOKUP, DEMOTE)),
        ("invalid_token_texts", _text("invalid_token_texts", ("permission denied", "invalid token")), (LOOKUP, DEMOTE)),
    ),
)

# What the other sections leave open, and what was found doubtful since.
FURTHER: tuple[Doubt, ...] = (
    *_doubts(
        "what nodes answer while a role change rebuilds the active one, and whether standbys of a new secondary seal",
        ("role_window", (RoleWindow.LEADERLESS, RoleWindow.SEALED, RoleWindow.RESET), (HEALTH, STATUS)),
        ("window_modes", tuple(WindowModes), (HEALTH,)),
        ("poison_pill", (True, False), (FOLLOW,)),
    ),
    *_doubts(
        "whether demote waits until what was written has been shipped", ("demote_drains", (False, True), (DEMOTE,))
    ),
    *_doubts(
        "whether a standby answers replication status itself", ("standby_status", tuple(StandbyStatus), (STATUS,))
    ),
    *_doubts(
        "since which version status has last_dr_wal and connection_state",
        ("last_kind_wal_since", ((1, 9), (1, 20)), (STATUS,)),
        ("connection_state_since", ((1, 9), (1, 20)), (STATUS,)),
    ),
    *_doubts(
        "whether last_remote_wal is 0 until an entry came to a new active node",
        ("remote_wal_zero_after_restart", (False, True), (STATUS,)),
    ),
    *_doubts("whether known_secondaries outlast a role change", ("remembers_secondaries", (False, True), (STATUS,))),
    *_doubts(
        "whether the keyring's rotation ends batch tokens",
        ("rotation_ends_batch_tokens", (False, True), ("sys/rotate",)),
    ),
    *_doubts(
        "whether a batch token may call generate-public-key",
        ("batch_token_makes_public_key", (True, False), (MAKE_KEY,)),
    ),
    *_doubts(
        "how long a new active node issues no activation token", ("secondary_token_waits_s", (0.0, 20.0), (ISSUE,))
    ),
    *_doubts(
        "when a revoked id is refused, and in which words",
        ("refuses_revoked_id", (False, True), (UPDATE_PRIMARY, FOLLOW)),
        ("revoked_id_text", _text("revoked_id_text"), (UPDATE_PRIMARY, FOLLOW)),
    ),
    *_doubts(
        "whether an unused activation token is there after a promotion",
        ("activation_tokens_replicate", (True, False), (UPDATE_PRIMARY, PROMOTE)),
    ),
    *_doubts(
        "a `ca_file` that is not there",
        ("ca_file_status", (500, 400), (UPDATE_PRIMARY, FOLLOW)),
        ("ca_file_text", _text("ca_file_text", "open %s: no such file or directory"), (UPDATE_PRIMARY, FOLLOW)),
    ),
    *_doubts(
        "how an old version answers without a token",
        ("missing_token_in_words", (False, True), (LOOKUP, DEMOTE, CREATE)),
    ),
    *_doubts(
        "when sys/unseal is a disabled path at a node of a DR secondary that is unsealed",
        ("unsealing_again_is_disabled", (False, True), ("sys/unseal",)),
    ),
    *_doubts("whether sys/seal at a standby is forwarded", ("standby_forwards_seal", (False, True), (SEAL,))),
    *_doubts(
        "a write on a performance secondary whose primary is out of reach",
        ("not_forwarded_status", (500, 503), (SECRETS,)),
        ("not_forwarded_text", _text("not_forwarded_text"), (SECRETS,)),
    ),
    *_doubts(
        "refusals of the verbs of a primary",
        ("not_primary_text", _text("not_primary_text"), (DEMOTE, ISSUE)),
        ("missing_secondary_id_text", _text("missing_secondary_id_text"), (ISSUE,)),
        ("invalid_public_key_text", _text("invalid_public_key_text"), (ISSUE,)),
    ),
    *_doubts(
        "refusals of an activation token",
        ("missing_activation_text", _text("missing_activation_text"), (UPDATE_PRIMARY, FOLLOW)),
        ("no_bundle_text", _text("no_bundle_text"), (UPDATE_PRIMARY, FOLLOW)),
        ("wrong_kind_text", _text("wrong_kind_text"), (UPDATE_PRIMARY, FOLLOW)),
        ("wrong_public_key_text", _text("wrong_public_key_text"), (UPDATE_PRIMARY, FOLLOW)),
    ),
    *_doubts(
        "refusals of update_primary_addrs",
        ("addrs_refused_text", _text("addrs_refused_text"), (UPDATE_PRIMARY,)),
        ("addrs_invalid_text", _text("addrs_invalid_text"), (UPDATE_PRIMARY,)),
        ("addrs_silent_status", (500, 400), (UPDATE_PRIMARY,)),
        ("addrs_silent_text", _text("addrs_silent_text"), (UPDATE_PRIMARY,)),
    ),
    *_doubts(
        "enable where replication of this kind is enabled",
        ("already_enabled_status", (400, 500), (ENABLE, FOLLOW)),
        ("already_enabled_text", _text("already_enabled_text"), (ENABLE, FOLLOW)),
    ),
    *_doubts(
        "the text of secondary/disable",
        ("disable_secondary_text", _text("disable_secondary_text", "Disabled."), (DISABLE,)),
    ),
    *_doubts(
        "whether an operation token outlives the promotion that it authorised",
        ("op_tokens_outlive_promotion", (False, True), (PROMOTE, UPDATE)),
    ),
    *_doubts(
        "the warnings and refusals of reindex and recover, and what `state` says while a cluster reindexes",
        ("reindexing_state", ("", "reindexing"), (STATUS,)),
        ("reindex_text", _text("reindex_text", "Reindexing."), (REINDEX,)),
        ("reindexing_already_text", _text("reindexing_already_text"), (REINDEX,)),
        ("recover_text", _text("recover_text", "Recovering."), (RECOVER,)),
        ("not_replicating_text", _text("not_replicating_text"), (REINDEX, RECOVER)),
    ),
    *_doubts("whose id an X-Vault-Index carries", ("index_scope", tuple(IndexScope), (SECRETS,))),
    *_doubts("health in a namespace", ("namespace_health_text", _text("namespace_health_text"), (HEALTH,))),
    *_doubts(
        "how a cluster refuses to follow a newer one",
        ("follows_newer_primary", (False, True), (UPDATE_PRIMARY, FOLLOW)),
        ("newer_primary_status", (400, 500), (UPDATE_PRIMARY, FOLLOW)),
        ("newer_primary_text", _text("newer_primary_text", "version mismatch"), (UPDATE_PRIMARY, FOLLOW)),
    ),
    *_doubts(
        "a request in a namespace that is not there",
        ("namespace_missing_text", _text("namespace_missing_text", "namespace not authorized"), (SECRETS,)),
    ),
    *_doubts(
        "what a cluster that is overloaded says to a write",
        ("overload_text", _text("overload_text", "rate limited, please retry"), (SECRETS,)),
    ),
    *_doubts(
        "whether a DR secondary limits requests by quota", ("dr_secondary_limits", (False, True), ("sys/leader",))
    ),
    *_doubts(
        "the status of one kind of replication on Community Edition",
        ("community_shows_each_kind", (False, True), (STATUS,)),
    ),
    *_doubts(
        "what a DR secondary says of its part in performance replication",
        ("dr_secondary_shows_performance", (False, True), (HEALTH, "sys/replication/performance/status")),
    ),
    *_doubts(
        "whether the cluster port of the primary is asked before an activation is answered",
        ("bootstraps_before_it_answers", (False, True), (UPDATE_PRIMARY, FOLLOW)),
        ("bootstrap_text", _text("bootstrap_text", "context deadline exceeded"), (UPDATE_PRIMARY, FOLLOW)),
    ),
    *_doubts(
        "what a reload of the licence answers",
        ("reload_licence_status", (204, 200), ("sys/config/reload/<name>",)),
    ),
    *_doubts("the body of sys/license/status", ("licence_body", tuple(LicenceBody), ("sys/license/status",))),
    *_doubts(
        "refusals of sys/audit",
        ("audit_type_text", _text("audit_type_text"), ("sys/audit/<name>",)),
        ("audit_in_use_text", _text("audit_in_use_text"), ("sys/audit/<name>",)),
    ),
)

# What else must be so for a knob to show at all.
NEEDS: Mapping[str, Mapping[str, Choice]] = {
    "idle_after_s": {"dead_link_state": DeadLinkState.IDLE},
    "op_token_envelope": {"authenticated_op_token": True},
    "op_token_read_needs_read": {"authenticated_op_token": True},
    "op_token_delete_needs_delete": {"authenticated_op_token": True},
    "revoked_id_text": {"refuses_revoked_id": True},
    "disabled_path_status": {"status_endpoints": StatusEndpoints.DISABLED},
}

DOUBTS: Mapping[str, Doubt] = {doubt.knob: doubt for doubt in (*LISTED, *FURTHER)}


def listing() -> str:
    """Every doubt with its choices, the default first, below what is doubted."""
    lines, item = list[str](), ""
    for doubt in DOUBTS.values():
        if doubt.item != item:
            item = doubt.item
            lines.append(f"\n{item}")
        lines.append(f"  {doubt.knob} = {' | '.join(_on_a_line(choice) for choice in doubt.choices)}")
    return "\n".join(lines).strip()


def _on_a_line(choice: Choice) -> str:
    return shown(choice).replace("\n", "\\n").replace("\t", "\\t") or "(empty)"


def shown(choice: Choice) -> str:
    """A value as it is typed after `NAME=`."""
    match choice:
        case bool() | None:
            return str(choice).lower()
        case tuple():
            return ",".join(map(str, choice))
        case frozenset():
            return ",".join(sorted(choice))
        case _:
            return str(choice)
