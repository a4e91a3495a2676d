"""The observed transcripts, told again to a lab: the same requests in order, the recorded answer beside its own.

What the recording server chose (nonces, tokens, shares) stands in later requests of a transcript; there the lab's own
is sent in its place. `STAGING` holds what the recording left out: acts between two requests, and whose token was sent.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.support.likeness import VOLATILE, differences
from tests.support.vectors import Vector, vector, vectors
from watchdogd.lab.faults import Fault, FaultKind
from watchdogd.lab.knobs import Knobs
from watchdogd.lab.spec import ClusterSpec, WorldSpec
from watchdogd.lab.wire import Exchange, Wire
from watchdogd.lab.world import World

NAME, SOON_S = "obs", 5.0
# OpenBao left Vault before the prefixes of 1.10, the ids of 1.16 and the fields of Enterprise.
VERSION = "1.7.0"
TRANSCRIPTS: Mapping[str, int] = {"obs1": 1, "obs2": 3, "obs3": 1, "obs4": 2, "obs5": 2}  # with how many nodes
FROM_EMPTY = "obs1"  # it begins before sys/init
KNOBS = Knobs(auto_unseal=False, performance_standbys=False, unseal_s=0.5)


def transcript(name: str) -> tuple[Vector, ...]:
    """The requests of one recording, in order."""
    return tuple(v for v in vectors() if v.name.startswith(f"obs:{name}:"))


@dataclass(slots=True)
class Replay:
    """A lab that is told a transcript."""

    world: World
    credentials: dict[str, str]
    alike: dict[str, str] = field(default_factory=dict)  # what the recording chose -> what the lab chose
    tokens: dict[str, str] = field(default_factory=dict)

    def ask(
        self, node: int, path: str, method: str = "PUT", *, body: object = None, token: str = "", **headers: str
    ) -> Exchange:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        wire = Wire(
            place="bastion",
            target=f"{NAME}/{node}",
            method=method,
            path_and_query=path,
            headers=sent | ({"X-Vault-Token": token} if token else {}),
            body=b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode(),
        )
        return self.world.exchange(wire, now_s=self.world.now_s)

    def root(self, node: int, path: str, method: str = "PUT", body: object = None) -> Mapping[str, object]:
        """A request with the root token, of those that the recording left out."""
        answer = self.ask(node, path, method, body=body, token=self.credentials["root_token"])
        told: Mapping[str, object] = json.loads(answer.body) if answer.body else {}
        return told

    def wait(self) -> None:
        self.world.tick(self.world.now_s + SOON_S)

    def repeat(self, recorded: Vector) -> list[str]:
        """How the lab's answer to a recorded request differs from the recorded one."""
        staged = STAGING.get(recorded.name, Staged())
        staged.before(self)
        answer = self.ask(
            staged.node,
            recorded.path,
            recorded.method,
            body=self.translated(recorded.params),
            token=self.token(recorded, staged),
            **recorded.req_headers,
        )
        body = json.loads(answer.body) if answer.body else None
        if answer.status != recorded.status:
            return [f"status: {recorded.status} | {answer.status}"]
        self.learn(recorded.body, body)
        return differences(recorded.body, body, alike=self.alike)

    def token(self, recorded: Vector, staged: Staged) -> str:
        if not recorded.token_sent:
            return ""
        return self.tokens.get(staged.token) or self.credentials.get(staged.token) or staged.token

    def translated(self, params: object) -> object:
        """The recorded parameters with the lab's own nonces, tokens and shares in place of the recorded ones."""
        if params is None:
            return None
        text = params if isinstance(params, str) else json.dumps(params)
        for recorded, own in self.alike.items():
            text = text.replace(recorded, own)
        return text

    def learn(self, recorded: object, own: object) -> None:
        """Which text of the lab stands for which recorded one."""
        for one, another in _pairs(recorded, own):
            if one and another and one != another:
                self.alike[one] = another
        if isinstance(recorded, Mapping) and isinstance(own, Mapping) and "root_token" in recorded:
            self.alike[recorded["root_token"]] = own["root_token"]
            self.take_over(own["root_token"], recorded["keys"], own["keys"])

    def take_over(self, root_token: str, recorded: Sequence[str], own: Sequence[str]) -> None:
        """The lab's root token and key shares, in place of the recorded ones."""
        self.credentials["root_token"] = root_token
        for number, (one, another) in enumerate(zip(recorded, own, strict=True), start=1):
            self.credentials[f"share_{number}"] = another
            self.alike |= {one: another, _in_base64(one): _in_base64(another)}


def _pairs(recorded: object, own: object) -> Iterator[tuple[str, str]]:
    if not isinstance(recorded, Mapping) or not isinstance(own, Mapping):
        return
    for name, value in recorded.items():
        if name in VOLATILE and isinstance(value, str) and isinstance(own.get(name), str):
            yield value, own[name]
        yield from _pairs(value, own.get(name))


def replay_of(name: str) -> Replay:
    """A lab like the one of the recording, and its shares in place of the recorded ones."""
    spec = ClusterSpec(name=NAME, nodes=TRANSCRIPTS[name], vault_version=VERSION)
    world = World(WorldSpec(clusters=(spec,), kind="none" if name == FROM_EMPTY else "dr", knobs=KNOBS), seed=1)
    replay = Replay(world, dict(world.credentials()))
    replay.wait()
    if name != FROM_EMPTY:
        recorded = vector("obs:obs1:init").body["keys"]  # type: ignore[index]
        own = [share for name, share in replay.credentials.items() if name.startswith("share_")]
        replay.take_over(replay.credentials["root_token"], recorded, own)
    return replay


def _in_base64(share: str) -> str:
    return base64.b64encode(bytes.fromhex(share)).decode()


# --------------------------------------------------------------------------------- what the recordings left out


def nothing(_: Replay) -> None:
    """Nothing happened between the request before and this one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """What came before a request, which node it was sent to, and with which token where one was sent."""

    before: Callable[[Replay], object] = nothing
    node: int = 1
    token: str = "root_token"


def sealed(node: int) -> Callable[[Replay], object]:
    def seal(replay: Replay) -> None:
        cluster = replay.world.clusters[NAME]
        cluster.seal_node(cluster.node(node), replay.world.now_s)
        replay.wait()

    return seal


def share_given(number: int, path: str = "/v1/sys/unseal", node: int = 1) -> Callable[[Replay], object]:
    def give(replay: Replay) -> None:
        share = replay.credentials[f"share_{number}"]
        nonce = json.loads(replay.ask(node, "/v1/sys/generate-root/attempt", "GET").body).get("nonce", "")
        replay.ask(node, path, body={"key": share, "nonce": nonce})

    return give


def started_over(replay: Replay) -> None:
    replay.ask(1, "/v1/sys/unseal", body={"reset": True})


def root_generated(replay: Replay) -> None:
    """The token of the last generation, decoded as its owner would."""
    recorded = vector("obs:obs2:gr update ok 2").body["encoded_token"]  # type: ignore[index]
    encoded, otp = replay.alike[recorded], replay.alike[vector("obs:obs2:gr start").body["otp"]]  # type: ignore[index]
    raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
    replay.tokens["generated"] = bytes(a ^ b for a, b in zip(raw, otp.encode(), strict=True)).decode()


def legacy_policy(replay: Replay) -> None:
    recorded = vector("obs:obs3:legacy policy read").body
    replay.root(1, "/v1/sys/policy/legacy", body={"policy": recorded["rules"]})  # type: ignore[index]


def batch_token_kept(replay: Replay) -> None:
    replay.tokens["batch"] = replay.alike[vector("obs:obs3:role create batch").body["auth"]["client_token"]]  # type: ignore[index]


def policies_as_recorded(replay: Replay) -> None:
    """The recording began without the lab's own policies."""
    for name in ("watchdogd", "watchdogd-dr", "clients"):
        replay.root(1, f"/v1/sys/policies/acl/{name}", "DELETE")


def kv1_ready(replay: Replay) -> None:
    replay.root(1, "/v1/sys/mounts/kv1", body={"type": "kv"})
    replay.root(1, "/v1/kv1/sb", body={"a": "1"})


def second_lost(replay: Replay) -> None:
    replay.world.faults.add(Fault(kind=FaultKind.CRASH, target=f"node:{NAME}/2"))
    replay.wait()


def second_back(replay: Replay) -> None:
    replay.world.faults.clear()
    replay.wait()


def service_token(replay: Replay) -> None:
    auth = replay.root(1, "/v1/auth/token/create", body={"policies": ["default"]})["auth"]
    replay.tokens["service"] = auth["client_token"]  # type: ignore[index]


def secret_id_made(replay: Replay) -> None:
    data = replay.root(1, "/v1/auth/approle/role/r1/secret-id", body={})["data"]
    recorded = vector("obs:obs5:approle login").params["secret_id"]  # type: ignore[index]
    replay.alike[recorded] = data["secret_id"]  # type: ignore[index]


def wrapped_kept(name: str) -> Callable[[Replay], object]:
    """The wrapping token of an answer, to be sent in the header."""

    def keep(replay: Replay) -> None:
        replay.tokens["wrapped"] = replay.alike[vector(name).body["wrap_info"]["token"]]  # type: ignore[index]

    return keep


def unwrapped(replay: Replay) -> None:
    wrapped_kept("obs:obs4:wrap create")(replay)
    replay.ask(1, "/v1/sys/wrapping/unwrap", token=replay.tokens["wrapped"])


STAGING: Mapping[str, Staged] = {
    "obs:obs1:unseal bad share a": Staged(before=started_over),
    "obs:obs1:unseal ok 1": Staged(before=share_given(1)),
    "obs:obs1:leader active": Staged(before=Replay.wait),
    "obs:obs2:n2 unseal 0": Staged(before=sealed(2), node=2),
    "obs:obs2:n2 unseal 1": Staged(node=2),
    "obs:obs2:standby health": Staged(before=share_given(3, node=2), node=2),
    "obs:obs2:standby health standbyok": Staged(before=Replay.wait, node=2),
    "obs:obs2:standby health standbyok=false": Staged(node=2),
    "obs:obs2:standby health standbycode=299": Staged(node=2),
    "obs:obs2:standby leader": Staged(node=2),
    "obs:obs2:standby seal-status": Staged(node=2),
    "obs:obs2:gr update ok 1": Staged(before=share_given(1, "/v1/sys/generate-root/update")),
    "obs:obs2:gr start 2 on standby": Staged(node=2),
    "obs:obs2:gr status via standby": Staged(node=2),
    "obs:obs2:lookup-self generated root": Staged(before=root_generated, token="generated"),
    "obs:obs2:lookup-self bad token": Staged(token="s.unknown"),
    "obs:obs3:policy write": Staged(before=policies_as_recorded),
    "obs:obs3:legacy policy read": Staged(before=legacy_policy),
    "obs:obs3:lookup-self batch": Staged(before=batch_token_kept, token="batch"),
    "obs:obs3:revoke-self batch": Staged(token="batch"),
    "obs:obs3:perm denied": Staged(token="client_token"),
    "obs:obs3:kv2 write cas mismatch": Staged(
        before=lambda replay: replay.root(1, "/v1/kv2/data/foo", body={"data": {"a": "b"}})
    ),
    "obs:obs4:unwrap header again": Staged(before=unwrapped, token="wrapped"),
    "obs:obs4:unwrap garbage": Staged(token="s.garbage"),
    "obs:obs4:standby: X-Vault-No-Request-Forwarding write": Staged(before=kv1_ready, node=2),
    "obs:obs4:revoke-self": Staged(before=service_token, token="service"),
    "obs:obs5:quorum lost: health n1": Staged(before=second_lost),
    "obs:obs5:sealed n2 health": Staged(before=second_back, node=2),
    "obs:obs5:n2 unseal 1": Staged(before=share_given(1, node=2), node=2),
    "obs:obs5:n2 unseal 2": Staged(node=2),
    "obs:obs5:step-down no token": Staged(before=Replay.wait),
    "obs:obs5:unwrap jwt via header": Staged(before=wrapped_kept("obs:obs5:wrap create jwt"), token="wrapped"),
    "obs:obs5:approle login": Staged(before=secret_id_made),
}
