"""A failover by key shares, and everything that anybody could see of it searched for every secret that it used.

`test_daemon_live` does the same with prepared tokens, there and back. Here shares make a token on the secondary, after
a prepared one was refused. Searched for are the refused one, the shares, the token that they made, the one-time pad and
the encoded token that it is made of, and the AWS key. The nonce of the attempt is no secret: the journal keeps it, and
after a crash the attempt is known as ours by it.
"""

from __future__ import annotations

import base64
import json
import traceback
from pathlib import Path

import pytest

from tests.support.configs import Table
from tests.support.live_leaks import ProcessWatch, everything_it_shows, kept_by, pieces_of, where_secrets_show
from tests.support.live_pair import (
    DETECTED_S_MAX,
    PAIR,
    READY_S_MAX,
    ServedWorld,
    closed_gates,
    happened,
    served_world,
    write_secret,
)
from watchdogd.adapters.secrets import SecretReader
from watchdogd.adapters.settings import FileRef
from watchdogd.errors import (
    Cause,
    ConfigError,
    MalformedReply,
    NeedsOperator,
    OutcomeUnknown,
    Refusal,
    Refused,
    Unreachable,
    WatchdogError,
)
from watchdogd.lab.events import What
from watchdogd.lab.wire import Exchange, Wire
from watchdogd.lab.world import World
from watchdogd.secret import Secret

pytestmark = [pytest.mark.live, pytest.mark.timeout(240)]

SHARES = 3
REFUSED_TOKEN = "hvb.AAAAAQ" + "notThisOne" * 12
# Shares are proven by nothing but generating a token: a person says that they are to be tried.
ORDER = {"target": "west", "reason": "the region is gone", "waive": ["proof"], "request_id": "leaks-1"}


class Overheard:
    """What a lab told whoever made a token: it forgets it with the attempt, and the token when that is deleted."""

    def __init__(self, world: World) -> None:
        self.pads: list[str] = []
        self.encoded: list[str] = []
        self.nonces: set[str] = set()
        self.promoted_with: list[str] = []
        self._exchange = world.exchange
        world.exchange = self._listen  # type: ignore[method-assign]

    @property
    def made(self) -> list[str]:
        """Every token: the encoded one is the token XOR its pad (GENROOT)."""
        return [_decoded(encoded, pad) for encoded, pad in zip(self.encoded, self.pads, strict=True)]

    @property
    def secrets(self) -> dict[str, str]:
        """By their names. Each half is unreadable without the other, and neither is anybody's business."""
        found = {"made": self.made, "one-time pad": self.pads, "encoded": self.encoded}
        return {f"{name} {number}": text for name, texts in found.items() for number, text in enumerate(texts)}

    def _listen(self, wire: Wire, *, now_s: float) -> Exchange:
        exchange = self._exchange(wire, now_s=now_s)
        if wire.path_and_query.endswith("secondary/promote"):
            self.promoted_with.append(f"{wire.body!r} {wire.headers}")
        if "generate-operation-token" in wire.path_and_query and exchange.status == 200:
            told = json.loads(exchange.body)
            self.pads += [told["otp"]] if told.get("otp") else []
            self.encoded += [told["encoded_token"]] if told.get("encoded_token") else []
            self.nonces |= {told["nonce"]} if told.get("nonce") else set()
        return exchange


def _decoded(encoded: str, pad: str) -> str:
    mixed = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
    return bytes(a ^ b for a, b in zip(mixed, pad.encode(), strict=True)).decode()


def by_shares(folder: Path, world: ServedWorld) -> dict[str, str]:
    """The secrets of a site that has one bad token and its shares, in their files."""
    used = {"refused_token": REFUSED_TOKEN} | {
        f"share_{number}": world.file.credentials[f"share_{number}"] for number in range(1, SHARES + 1)
    }
    for name, secret in used.items():
        write_secret(folder / name, secret)

    def change(table: Table) -> None:
        shares = [{"file": str(folder / f"share_{number}")} for number in range(1, SHARES + 1)]
        tokens = [{"file": str(folder / "refused_token")}]
        table["pair"][PAIR]["credentials"] = {"dr_operation_token": tokens, "key_shares": shares}  # type: ignore[index]

    world.write_config(change)
    return used


async def test_a_failover_by_key_shares_shows_none_of_its_secrets(tmp_path: Path) -> None:
    async with served_world(tmp_path) as world:
        overheard = Overheard(world.lab.world)
        used = by_shares(tmp_path, world)
        async with world.daemon() as daemon, ProcessWatch(daemon.pid).watching() as processes:
            await daemon.until(
                lambda e: closed_gates(e) == {"proof", "window", "secondary-sees"}, timeout_s=READY_S_MAX
            )
            shown = await everything_it_shows(daemon, world)
            world.lose_region("east")
            await daemon.until(lambda e: closed_gates(e) == {"proof"}, timeout_s=DETECTED_S_MAX)
            status, answer = await daemon.post(f"/pairs/{PAIR}/failover", ORDER)
            assert status == 202, answer
            await world.seen(happened(What.NAME_CHANGED), timeout_s=DETECTED_S_MAX)
            shown |= {f"{place} later": text for place, text in (await everything_it_shows(daemon, world)).items()}
            assert await daemon.terminate() == 0
        made = overheard.secrets
        assert made.keys() == {"made 0", "one-time pad 0", "encoded 0"}, "the shares made one token, and it promoted"
        assert overheard.made[0] in overheard.promoted_with[-1], "what is searched for is what was used"
        assert world.applied("promote", "west") == 1
        secrets = {**world.secrets, **used, **made, "aws": world.file.aws_secret_access_key}
        own = {place for place in shown if place.startswith("environment")}  # boto3's own way to be given a key
        assert where_secrets_show({place: shown.pop(place) for place in own}, {**used, **made}) == []
        shown |= {"log": "\n".join(daemon.raw).encode(), **kept_by(world.state_dir), **processes.seen}
        assert any("fence" in place and "east" in place for place in processes.seen), "the fence was seen while it ran"
        assert where_secrets_show(shown, secrets) == []
        (nonce,) = overheard.nonces
        assert where_secrets_show(shown, {"nonce": nonce}), "the search looks where an attempt is written down"


@pytest.mark.parametrize(
    "spelled",
    [
        lambda share: share,
        lambda share: share.upper(),
        lambda share: base64.b64encode(bytes.fromhex(share)).decode(),
        lambda share: base64.urlsafe_b64encode(b"x" + bytes.fromhex(share) + b"yz").decode(),
        lambda share: base64.b64encode(f"Authorization: {share}".encode()).decode(),
        lambda share: share.encode().hex(),
        lambda share: share[10:50],
    ],
    ids=["itself", "upper", "base64", "base64 in a longer text", "base64 of the hex", "hex of the hex", "a piece"],
)
def test_the_search_finds_a_share_however_it_is_spelled(spelled: object) -> None:
    share = "6692f4c2b04550538d3742ec0596d79168f622f49befb3556937222db2ea605aae"
    shown = {"page": f"so {spelled(share)} it is".encode()}  # type: ignore[operator]
    assert where_secrets_show(shown, {"share": share}) == ["share in page"]
    assert where_secrets_show({"page": b"nothing here"}, {"share": share}) == []
    assert all(len(piece) >= 8 for piece in pieces_of(share))


ERRORS = [
    Unreachable(Cause.REFUSED, "10.0.0.1:8200"),
    Refused(Refusal.DENIED, "403: permission denied"),
    OutcomeUnknown("timed out"),
    MalformedReply("sys/health", "no JSON"),
    NeedsOperator("promote", "nobody knows"),
    ConfigError(("pair.prod: wrong",)),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_no_error_that_passes_by_a_secret_shows_it(error: WatchdogError) -> None:
    """As `exc_info` prints it, and with the locals that a debugger or `faulthandler` would print."""

    def send(token: Secret) -> None:
        raise error

    secret = Secret("hvs.CAESIJ-a-secret-that-must-not-show")
    try:
        send(secret)
    except WatchdogError as caught:
        told = traceback.TracebackException.from_exception(caught, capture_locals=True)
        text = "".join(told.format(chain=True)) + repr(caught)
    assert "Secret(***)" in text, "the locals are there"
    assert where_secrets_show({"traceback": text.encode()}, {"token": secret.reveal()}) == []


def test_what_cannot_be_read_is_named_by_its_place(tmp_path: Path) -> None:
    path = tmp_path / "token"
    write_secret(path, REFUSED_TOKEN)
    path.chmod(0o644)
    told = SecretReader.of_environment({}).problem_with(FileRef(path=str(path)))
    assert str(path) in told
    assert where_secrets_show({"problem": told.encode()}, {"token": REFUSED_TOKEN}) == []
