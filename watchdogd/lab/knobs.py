"""Everything about Vault that no source confirms, or that differs from installation to installation, as a knob.

A field that no source confirms says UNCONFIRMED: `doubts.py` has its choices, and scenarios run with each of them.
"""

from dataclasses import dataclass, fields
from enum import StrEnum
from math import inf

from watchdogd.lab.knob_values import BadKnob, check_knob
from watchdogd.lab.seal_keys import why_refused


class RoleWindow(StrEnum):
    """What nodes answer while a role change tears the active node down and rebuilds it (reference section 7)."""

    SEALED = "503"
    LEADERLESS = "500"
    RESET = "reset"


class WindowModes(StrEnum):
    """What `replication_*_mode` of sys/health shows inside that window."""

    UNKNOWN = "unknown"
    PREVIOUS = "previous"


class PeersWhenDemoted(StrEnum):
    """How a demoted cluster that follows nobody shows `primaries` and `known_primary_cluster_addrs`."""

    EMPTY = "empty"
    NULL = "null"
    ABSENT = "absent"


class DeadLinkState(StrEnum):
    """What `state` a secondary shows once its primary is gone for `idle_after_s`."""

    STREAM_WALS = "stream-wals"
    IDLE = "idle"


class StandbyStatus(StrEnum):
    """Whether a standby answers replication status itself (it holds no heartbeats) or asks its active node."""

    OWN = "own"
    FORWARDED = "forwarded"


class TokenEnvelope(StrEnum):
    """Where generate-operation-token fields sit when the route is authenticated (2.x)."""

    BARE = "bare"
    DATA = "data"


class StatusEndpoints(StrEnum):
    """The listener option `disable_replication_status_endpoints`."""

    OPEN = "open"
    DISABLED = "disabled"


class LicenceBody(StrEnum):
    """What sys/license/status shows: the loaded licence by its name, or its fields as they are."""

    AUTOLOADED = "autoloaded"
    FLAT = "flat"


class IndexScope(StrEnum):
    """Whose id an X-Vault-Index carries: that of the replication set, which survives a promotion, or the cluster's."""

    SET = "set"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True, kw_only=True)
class Knobs:
    """One installation's timing and one reading of the unconfirmed items. Times in seconds, sizes in entries.

    Raises: BadKnob for what none of them can be, `knob_values.py`.
    """

    # Elections, seals, standbys
    election_s: float = 3.0  # until a cluster without an active node has a new one
    unseal_s: float = 1.0  # what auto-unseal takes after a start
    auto_unseal: bool = True  # False: a restarted node stays sealed until its shares are submitted
    standby_told_s: float = 1.0  # until a standby shows the modes that its active node told it (HEALTHDOC)
    ha_unhealthy_after_s: float = 10.0  # 474 once the active node has not been heard for this long (>= 1.19)
    performance_standbys: bool = True  # Enterprise standbys serve reads: 473 instead of 429
    seal_shares: int = 5  # how many shares the Shamir seal has
    seal_threshold: int = 3  # how many of them unseal

    # Role changes (reference section 7; durations differ by installation)
    promote_s: float = 10.0  # what promote takes
    demote_s: float = 3.0  # what demote takes
    update_primary_s: float = 2.0  # what update-primary takes
    enable_s: float = 3.0  # what primary/enable takes
    disable_s: float = 3.0  # what disable takes
    secondary_enable_s: float = 3.0  # what secondary/enable takes
    poison_pill: bool = True  # UNCONFIRMED that it always comes: a new secondary's standbys seal themselves (TC)
    role_window: RoleWindow = RoleWindow.LEADERLESS  # UNCONFIRMED
    window_modes: WindowModes = WindowModes.UNKNOWN  # UNCONFIRMED
    catching_up_s: float = 0.0  # promote answers 503 for this long after its first attempt; inf = for ever

    # Replication
    stream_delay_s: float = 0.2  # how far a stream is behind while nothing holds it up
    reindex_s: float = 5.0  # at least; and with it the time for what there is
    reindex_entries_per_s: float = 2000.0  # how much a reindex gets through
    reindexing_state: str = ""  # UNCONFIRMED: what `state` says meanwhile; "": what it says otherwise
    stream_wal_per_s: int = 5000  # what one stream carries at most
    shipper_entries: int = 16384  # further behind than this a secondary needs merkle-sync
    heartbeat_s: float = 5.0  # how often a secondary sends one to its primary
    heartbeat_lost_after_s: float = 15.0  # connection_status turns to disconnected
    reconnect_s: float = 1.0  # until a stream that broke is tried again
    resolver_discover_servers: bool = True  # of the stanza `replication` (STANZA); off: bootstrap's address alone
    merkle_diff_s: float = 1.0  # at least; and with it the time for what differs
    merkle_sync_s: float = 2.0  # at least; and with it the time for what is sent
    merkle_diff_keys_per_s: float = 20000.0  # how much a merkle-diff gets through
    merkle_sync_keys_per_s: float = 2000.0  # how much a merkle-sync gets through
    guard_missing_every_s: float = inf  # a stream is thrown back into merkle-diff so often (TS-merkle-sync)
    demote_drains: bool = False  # UNCONFIRMED: demote waits until every connected secondary has everything
    merkle_root_when_demoted: bool = True  # UNCONFIRMED: shown by a cluster that follows nobody
    blackhole_ready_s: float = 20.0  # a link that swallows packets stays `ready` this long
    canary_every_s: float = 1.0  # how often a primary writes its replication canary
    reports_heartbeats: bool | None = None  # whether status shows heartbeats; None: by version
    reports_canary: bool | None = None  # whether status shows the canary; None: by version
    reports_connection_state: bool | None = None  # whether status shows connection_state; None: by version
    dead_link_state: DeadLinkState = DeadLinkState.STREAM_WALS  # UNCONFIRMED for modern versions
    idle_after_s: float = 30.0  # UNCONFIRMED
    peers_when_demoted: PeersWhenDemoted = PeersWhenDemoted.EMPTY  # UNCONFIRMED
    standby_status: StandbyStatus = StandbyStatus.OWN  # UNCONFIRMED
    last_kind_wal_since: tuple[int, ...] = (1, 9)  # UNCONFIRMED: last_dr_wal is in no sample before 2024
    connection_state_since: tuple[int, ...] = (1, 9)  # UNCONFIRMED, the same
    connection_state_when_demoted: str | None = "idle"  # UNCONFIRMED; None: absent
    ssct_bump_on_promote: bool = False  # UNCONFIRMED
    remote_wal_zero_after_restart: bool = False  # UNCONFIRMED: 0 until the first entry came to this active node

    # Answers
    invalid_dr_token_status: int = 403  # UNCONFIRMED
    invalid_dr_token_text: str = "permission denied"  # noqa: S105  UNCONFIRMED; a text, no secret
    missing_dr_token_status: int = 400  # UNCONFIRMED
    not_dr_secondary_status: int = 400  # UNCONFIRMED
    not_dr_secondary_text: str = "Not a DR secondary."  # UNCONFIRMED casing
    server_side_consistent_tokens: bool = True  # off: service tokens and OTPs as before 1.10 (GRHTTP111, GENROOT)
    single_use_op_token: bool = False  # UNCONFIRMED, sources conflict
    new_op_token_revokes_previous: bool = True  # UNCONFIRMED
    op_tokens_outlive_promotion: bool = False  # UNCONFIRMED: they count again once it is a secondary again
    rotation_ends_batch_tokens: bool = False  # UNCONFIRMED: a new term of the keyring ends those of earlier ones
    authenticated_op_token: bool | None = None  # None: from 2.0 on (back-ports UNCONFIRMED)
    unauthenticated_access: frozenset[str] = frozenset()  # generate-root, generate-operation-token: open all the same
    op_token_envelope: TokenEnvelope = TokenEnvelope.BARE  # UNCONFIRMED
    op_token_read_needs_read: bool = True  # UNCONFIRMED: GET of the attempt asks for `read`, not `update`
    op_token_delete_needs_delete: bool = True  # UNCONFIRMED: DELETE of the attempt asks for `delete`, not `update`
    batch_token_makes_public_key: bool = True  # UNCONFIRMED: generate-public-key takes a batch token, too
    update_primary_text: str = (  # UNCONFIRMED
        "Vault has successfully found secondary information; it may take a while to perform setup tasks. "
        "Vault will be unavailable until these tasks and initial sync complete."
    )
    revoke_secondary_status: int = 204  # UNCONFIRMED
    secondary_token_waits_s: float = 0.0  # UNCONFIRMED: how long a new active node answers 412 (ISS24400, ENOS-FST)
    remembers_secondaries: bool = (
        False  # UNCONFIRMED: ids of an earlier time as primary, shown again (VGUIDES, TRACE12)
    )
    refuses_revoked_id: bool = False  # UNCONFIRMED: an activation token whose id was revoked is refused when it is used
    revoked_id_text: str = "secondary id is not known to the primary"  # UNCONFIRMED
    activation_tokens_replicate: bool = (
        True  # UNCONFIRMED: an unused one is a token like any (REPL-OV), on DR promoted too
    )
    system_roots_hold_ca: bool = True  # whether nodes trust each other's API without `ca_file` or `ca_path`
    ca_file_status: int = 500  # UNCONFIRMED
    ca_file_text: str = "Error loading CA File: open %s: no such file or directory"  # UNCONFIRMED; %s: the path
    duplicate_secondary_id_status: int = 400  # UNCONFIRMED
    duplicate_secondary_id_text: str = "secondary id already exists"  # UNCONFIRMED
    disabled_path_status: int = 400  # UNCONFIRMED
    missing_token_in_words: bool = False  # UNCONFIRMED of which versions: 400 `missing client token` in place of 403
    invalid_token_two_errors: bool | None = None  # None: from 1.16 on; UNCONFIRMED
    invalid_token_texts: tuple[str, ...] = (  # UNCONFIRMED rendering: one text, or one for each error
        "2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n",
    )
    open_on_dr_secondary: frozenset[str] = frozenset()  # UNCONFIRMED for sys/seal, sys/step-down, sys/ha-status
    unsealing_again_is_disabled: bool = False  # UNCONFIRMED when (TC): sys/unseal at an unsealed DR secondary's node
    standby_forwards_seal: bool = False  # UNCONFIRMED for Vault: it is the active node that seals; OBS: the one asked
    not_replicating_text: str = "replication is not enabled"  # UNCONFIRMED: reindex and the like without any
    reindex_text: str = "Reindexing the local data storage. This may take a long time."  # UNCONFIRMED
    reindexing_already_text: str = "reindex is already in progress"  # UNCONFIRMED
    recover_text: str = "Attempting recovery of replication."  # UNCONFIRMED
    not_forwarded_status: int = 500  # UNCONFIRMED: a write on a performance secondary whose primary is out of reach
    not_forwarded_text: str = "1 error occurred:\n\t* cannot write to readonly storage\n\n"  # UNCONFIRMED in this case
    not_primary_text: str = "cluster is not a replication primary"  # UNCONFIRMED
    missing_secondary_id_text: str = "id must be provided"  # UNCONFIRMED
    missing_activation_text: str = "missing token"  # UNCONFIRMED
    addrs_refused_text: str = "update_primary_addrs cannot be used here: provide a token"  # UNCONFIRMED
    addrs_invalid_text: str = "update_primary_addrs must be a list of cluster addresses"  # UNCONFIRMED
    addrs_silent_status: int = 500  # UNCONFIRMED
    addrs_silent_text: str = "no address of update_primary_addrs answers"  # UNCONFIRMED
    already_enabled_status: int = 400  # UNCONFIRMED: enable where replication of this kind is enabled
    already_enabled_text: str = "replication is already enabled on this cluster"  # UNCONFIRMED
    disable_secondary_text: str = (  # UNCONFIRMED that it is that of primary/disable
        "This cluster is having replication disabled. Vault will be unavailable for a brief period and will resume "
        "service shortly."
    )
    invalid_public_key_text: str = "error decoding secondary public key"  # UNCONFIRMED
    no_bundle_text: str = "error decoding secondary token"  # UNCONFIRMED: it, or what was unwrapped, is no activation
    wrong_kind_text: str = "secondary token is for another kind of replication"  # UNCONFIRMED
    follows_newer_primary: bool = False  # UNCONFIRMED that it is refused, and not only never streams (DRTUT)
    newer_primary_status: int = 400  # UNCONFIRMED
    newer_primary_text: str = "cannot replicate from a primary of a newer version"  # UNCONFIRMED
    wrong_public_key_text: str = (  # UNCONFIRMED
        "error decrypting secondary token: cipher: message authentication failed"
    )
    index_scope: IndexScope = IndexScope.SET  # UNCONFIRMED; a promoted cluster's own counter is behind (ISS24400)
    allow_forwarding_via_header: bool = False  # of the stanza `replication` (STANZA), where false is the default, too
    namespace_health_text: str = "operation unavailable in namespaces"  # UNCONFIRMED for Vault; OBS
    namespace_missing_text: str = "namespace not found"  # UNCONFIRMED for Vault; OBS: any but root
    mount_type_in_envelope: bool = False  # UNCONFIRMED
    reload_licence_status: int = 204  # UNCONFIRMED: what the reload answers; 200 has an envelope
    licence_body: LicenceBody = LicenceBody.AUTOLOADED  # UNCONFIRMED: no sample is at hand
    overload_text: str = "overloaded, try again later"  # UNCONFIRMED: a write that a cluster has no room for
    dr_secondary_limits: bool = False  # UNCONFIRMED: rate limits count on a DR secondary, too
    community_shows_each_kind: bool = False  # UNCONFIRMED: the status of one kind there is flat, too, and not 404
    dr_secondary_shows_performance: bool = False  # UNCONFIRMED: modes and status of what it will be once promoted
    bootstraps_before_it_answers: bool = False  # UNCONFIRMED: an activation is refused where the cluster port is silent
    bootstrap_text: str = "error bootstrapping replication: context deadline exceeded"  # UNCONFIRMED: in which words
    audit_type_text: str = "unknown backend type"  # UNCONFIRMED
    audit_in_use_text: str = "path already in use"  # UNCONFIRMED
    kv_upgrade_s: float = 0.0  # how long a mount that became one of version 2 answers 400; OBS: a second or two
    status_is_audited: bool = True  # by ENTPATHS a path like any: a blocked audit device holds it up, too
    status_endpoints: StatusEndpoints = StatusEndpoints.OPEN  # whether the listener answers replication status
    unauthenticated_metrics: bool = False  # the listener option unauthenticated_metrics_access; without UNCONFIRMED
    redact_version: bool = False  # the listener option of this name; a valid token lifts it
    redact_cluster_name: bool = False  # the listener option of this name; a valid token lifts it
    redact_addresses: bool = False  # the listener option of this name; a valid token lifts it
    max_lease_ttl_s: float = 768 * 3600.0  # the longest life that a token gets

    # The way there and back
    latency_s: float = 0.02  # what a request takes on its way
    lb_check_s: float = 2.0  # how often a load balancer looks at its nodes
    utc_offset_minutes: int = 0  # of the node-local times in replication status

    def __post_init__(self) -> None:
        for knob in fields(self):
            check_knob(knob.name, knob.type, getattr(self, knob.name))
        if why := why_refused(self.seal_shares, self.seal_threshold):
            raise BadKnob(f"seal_threshold={self.seal_threshold} with seal_shares={self.seal_shares}: {why}")
