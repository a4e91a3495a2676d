"""generate-operation-token and generate-root: one handler family, two strategies, one slot.

Sources: GENROOT, GRHTTP111, OBS obs2 (texts), GHSA, BG, LAB2 (2.x); section 4 of the reference.
"""

from __future__ import annotations

import base64

from watchdogd.lab import tokens
from watchdogd.lab.call import Call
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.knobs import TokenEnvelope
from watchdogd.lab.node import Attempt, Mode
from watchdogd.lab.reply import Rejected, Reply, bare, empty, errors
from watchdogd.lab.roles import Kind
from watchdogd.lab.route import ON_DR, Route
from watchdogd.lab.routes_health import WRONG_SHARES, decode_share

_PREFIXED, _PLAIN = 28, 26
DR_PATH = "sys/replication/dr/secondary/generate-operation-token"


def attempt(call: Call) -> Reply:
    """GET, PUT and DELETE .../attempt [GENROOT]."""
    _admit(call)
    _taken_over(call)
    match call.request.method:
        case "PUT":
            return _start(call)
        case "DELETE":
            _memory_attempt(call, None)
            return empty()
        case _:
            return _answer(call, _shown(call, _running(call)))


def update(call: Call) -> Reply:
    """PUT .../update [GENROOT, OBS]: one share; a wrong set resets the progress and leaves the attempt open."""
    _admit(call)
    _taken_over(call)
    share = decode_share(call.text("key"))
    running = _running(call)
    if running is None:
        return errors(400, "no root generation in progress")
    if call.text("nonce") != running.nonce:
        return errors(400, f'incorrect nonce supplied; nonce for this root generation operation is "{running.nonce}"')
    if running.is_dr is not _is_dr(call):
        text = "incorrect strategy supplied; a generate root operation of another type is already in progress"
        return errors(400, text)
    if share in running.shares:
        return errors(400, "given key has already been provided during this generation operation")
    running.shares.append(share)
    progress, encoded = len(running.shares), ""
    if progress >= call.cluster.threshold:
        encoded = _finish(call, running)
    shown = _shown(call, running) | {"progress": progress, "otp_length": 0}
    if encoded:
        shown |= {"complete": True, "encoded_token": encoded}
        shown["encoded_root_token"] = "" if running.is_dr else encoded
    return _answer(call, shown)


def otp_length(version: tuple[int, ...]) -> int:
    """28 from 1.10 on (`hvs.` and 24 characters), 26 before (GRHTTP111); `version` is that of the service tokens."""
    return _PREFIXED if version >= (1, 10) else _PLAIN


def needs_token(call: Call) -> bool:
    """2.x asks for a Vault token, unless its configuration says otherwise; back-ports are UNCONFIRMED (GHSA, BG)."""
    family = "generate-operation-token" if _is_dr(call) else "generate-root"
    if family in call.knobs.unauthenticated_access:
        return False
    knob = call.knobs.authenticated_op_token
    return call.cluster.version >= (2, 0) if knob is None else knob


def _admit(call: Call) -> None:
    """Raises Rejected unless the caller may use this endpoint here."""
    if _is_dr(call) and call.cluster.roles[Kind.DR].mode is not Mode.SECONDARY:
        raise Rejected(errors(call.knobs.not_dr_secondary_status, call.knobs.not_dr_secondary_text))
    text = call.request.token_text
    if not needs_token(call):
        if text and call.find_token(text) is None:  # LAB2: better no header than a stale one
            raise Rejected(call.permission_denied(invalid=True))
        return
    if not text:
        raise Rejected(call.permission_denied(invalid=False))
    wanted = {"GET": frozenset({"read"}), "DELETE": frozenset({"delete"})}.get(
        call.request.method, frozenset({"create", "update"})
    )
    knobs = call.knobs
    needs_own = {"GET": knobs.op_token_read_needs_read, "DELETE": knobs.op_token_delete_needs_delete}
    if not needs_own.get(call.request.method, True):
        wanted |= {"create", "update"}
    call.authorise(wanted=wanted)


def _taken_over(call: Call) -> None:
    """Where a fault says so, somebody else has cancelled whatever ran here, and begun an attempt of his own."""
    fault = call.world.network.fault_on(FaultKind.FOREIGN_ATTEMPT, call.node.target)
    running = _running(call)
    if fault is None or (running is not None and running.is_foreign) or not call.world.faults.use(fault):
        return
    otp = call.cluster.chance.base62(otp_length(call.cluster.token_version))
    nonce = call.cluster.chance.uuid()
    theirs = Attempt(nonce=nonce, otp=otp, otp_made_here=True, is_dr=_is_dr(call), is_foreign=True)
    _memory_attempt(call, theirs)


def _is_dr(call: Call) -> bool:
    return call.request.path.startswith(DR_PATH)


def _running(call: Call) -> Attempt | None:
    return call.node.active.attempt if call.node.active is not None else None


def _memory_attempt(call: Call, value: Attempt | None) -> None:
    if call.node.active is not None:
        call.node.active.attempt = value


def _start(call: Call) -> Reply:
    """What it brings is judged first, whether the slot is free last (GENROOT)."""
    otp, wanted = call.text("otp"), otp_length(call.cluster.token_version)
    if otp and len(otp.encode()) != wanted:  # Go counts bytes
        return errors(400, "OTP string is wrong length")
    if not otp and call.text("pgp_key"):
        return errors(400, "error parsing PGP key: this world knows no PGP keys")
    if _running(call) is not None:
        return errors(400, "root generation already in progress")
    started = Attempt(
        nonce=call.cluster.chance.uuid(),
        otp=otp or call.cluster.chance.base62(wanted),
        otp_made_here=not otp,
        is_dr=_is_dr(call),
    )
    _memory_attempt(call, started)
    return _answer(call, _shown(call, started) | {"otp": started.otp if started.otp_made_here else ""})


def _shown(call: Call, running: Attempt | None) -> dict[str, object]:
    """The whole field set, always. A GET never shows the OTP."""
    return {
        "nonce": running.nonce if running else "",
        "started": running is not None,
        "progress": len(running.shares) if running else 0,
        "required": call.cluster.threshold,
        "complete": False,
        "encoded_token": "",
        "encoded_root_token": "",
        "pgp_fingerprint": "",
        "otp": "",
        "otp_length": otp_length(call.cluster.token_version),
    }


def _answer(call: Call, shown: dict[str, object]) -> Reply:
    in_data = needs_token(call) and call.knobs.op_token_envelope is TokenEnvelope.DATA
    return call.logical(shown) if in_data else bare(200, shown)


def _finish(call: Call, running: Attempt) -> str:
    """The encoded token once the shares are right. Raises Rejected (400) and starts the shares over if not."""
    shares, running.shares = running.shares, []
    try:
        fit = call.cluster.keys is not None and call.cluster.keys.fit(shares)
    except ValueError as exc:
        raise Rejected(errors(400, f"failed to compute root key: {exc}")) from exc
    if not fit:
        raise Rejected(errors(400, f"root generation aborted: unable to authenticate: {WRONG_SHARES}"))
    _memory_attempt(call, None)
    if running.is_dr:
        text = tokens.new_id(call.cluster.chance, call.cluster.token_version)
        if call.knobs.new_op_token_revokes_previous:
            call.cluster.op_tokens.clear()
        call.cluster.op_tokens.append(text)
    else:
        text = call.cluster.keep_root_token(now_s=call.now_s, utc_s=call.utc_s).id
    mixed = bytes(a ^ b for a, b in zip(text.encode(), running.otp.encode(), strict=True))
    return base64.b64encode(mixed).decode().rstrip("=")


ROUTES: tuple[Route, ...] = (
    Route("GET PUT DELETE", f"{DR_PATH}/attempt", attempt, "GENROOT GRHTTP111", ON_DR),
    Route("PUT", f"{DR_PATH}/update", update, "GENROOT GRHTTP111 OBS", ON_DR),
    Route("GET PUT DELETE", "sys/generate-root/attempt", attempt, "GENROOT OBS"),
    Route("PUT", "sys/generate-root/update", update, "GENROOT OBS"),
)
