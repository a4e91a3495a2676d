"""OpenBao, the fork of Vault, as processes of its own: a raft cluster over TLS on loopback.

The referee for what the lab and the daemon's client believe of everything but replication, which it does not have.
Nodes join before they are unsealed, one after the other: with `retry_join` the same takes three times as long.
"""

from __future__ import annotations

import json
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trustme

from tests.support import real_nodes
from tests.support.own_venv import NotHere, program, stop
from tests.support.real_nodes import Binary, Node

START_S, FORMED_S, POLL_S, ANSWER_S = 30.0, 60.0, 0.1, 10.0
SHARES, THRESHOLD = 5, 3
UNAUTHENTICATED = "disable_unauthed_generate_root_endpoints = false"  # the fork closes them unless told so


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_args: object, **_kwargs: object) -> None:
        return None


@dataclass(slots=True, kw_only=True)
class OpenBao:
    """A running cluster. `nodes[0]` was initialised and is its active node until something happens to it."""

    binary: Binary
    ca_file: Path
    nodes: list[Node]
    shares: list[str] = field(default_factory=list)
    root_token: str = ""

    def ask(
        self,
        node: Node,
        path: str,
        method: str = "GET",
        *,
        token: str = "",
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request. Raises OSError where no answer came."""
        raw = None if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        request = urllib.request.Request(f"{node.url}{path}", data=raw, method=method, headers=dict(headers or {}))  # noqa: S310  https, and ours
        if token:
            request.add_header("X-Vault-Token", token)
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(self.ca_file))),
            _NoRedirect,
        )
        try:
            with opener.open(request, timeout=ANSWER_S) as reply:
                return Answer(status=reply.status, headers=dict(reply.headers), body=reply.read())
        except urllib.error.HTTPError as no:
            return Answer(status=no.code, headers=dict(no.headers), body=no.read())

    def root(self, path: str, method: str = "GET", body: object = None) -> Any:
        """A request with the root token to the first node; what it answered. Raises NotHere when it is refused."""
        answer = self.ask(self.nodes[0], path, method, token=self.root_token, body=body)
        if answer.status >= 400:
            raise NotHere(f"openbao: {method} {path} answered {answer.status}: {answer.body!r}")
        return answer.json

    def start(self, node: Node) -> None:
        """Start the process of a node, again after a kill."""
        real_nodes.start(self.binary, node)

    def unseal(self, node: Node) -> None:
        """With as many shares as it takes."""
        for share in self.shares[:THRESHOLD]:
            self.ask(node, "/v1/sys/unseal", "PUT", body={"key": share})

    def health(self, node: Node) -> int:
        """The status of its health; 0 while it does not answer."""
        try:
            return self.ask(node, "/v1/sys/health").status
        except OSError:
            return 0

    def until(self, holds: Callable[[], object], what: str, *, timeout_s: float = FORMED_S) -> None:
        """Ask again and again until `holds`. Raises NotHere."""
        deadline_s = time.perf_counter() + timeout_s
        while not holds():
            if time.perf_counter() > deadline_s:
                raise NotHere(f"openbao: not within {timeout_s:g} s: {what}")
            _pause(self.nodes)


def _pause(nodes: list[Node]) -> None:
    """A short while, or until a node ends."""
    for node in nodes:
        if node.process is not None:
            try:
                node.process.wait(timeout=POLL_S)
            except subprocess.TimeoutExpired:
                return


@contextmanager
def running(folder: Path, *, nodes: int) -> Iterator[OpenBao]:
    """A cluster of so many nodes, unsealed, all of them voters; gone when the block is left. Raises NotHere."""
    authority = trustme.CA()
    ca_file = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    bao = OpenBao(
        binary=binary(),
        ca_file=ca_file,
        nodes=[_node(folder, f"referee-{number}", authority) for number in range(1, nodes + 1)],
    )
    try:
        for node in bao.nodes:
            bao.start(node)
        bao.until(lambda: all(bao.health(node) for node in bao.nodes), "all nodes answer", timeout_s=START_S)
        _form(bao)
        yield bao
    finally:
        for node in bao.nodes:
            if node.process is not None:
                stop(node.process)


@contextmanager
def empty(folder: Path) -> Iterator[OpenBao]:
    """One node that was never initialised; gone when the block is left. Raises NotHere."""
    authority = trustme.CA()
    ca_file = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    node = _node(folder, "empty-1", authority)
    bao = OpenBao(binary=binary(), ca_file=ca_file, nodes=[node])
    bao.start(node)
    try:
        bao.until(lambda: bao.health(node), "it answers", timeout_s=START_S)
        yield bao
    finally:
        if node.process is not None:
            stop(node.process)


def binary() -> Binary:
    """The fork as a binary to start nodes with. Raises NotHere."""
    return Binary(program=program("openbao", "bao"))


def _node(folder: Path, name: str, authority: trustme.CA) -> Node:
    return real_nodes.laid_out(folder, name, authority, cluster="referee", listener=UNAUTHENTICATED)


def _form(bao: OpenBao) -> None:
    first, *others = bao.nodes
    made = bao.ask(first, "/v1/sys/init", "PUT", body={"secret_shares": SHARES, "secret_threshold": THRESHOLD}).json
    bao.shares, bao.root_token = made["keys"], made["root_token"]
    bao.unseal(first)
    bao.until(lambda: bao.health(first) == 200, "the first node is active")
    if others:
        bao.root(
            "/v1/sys/storage/raft/autopilot/configuration", "POST", {"server_stabilization_time": "1s", "min_quorum": 3}
        )
    for node in others:
        join = {"leader_api_addr": first.url, "leader_ca_cert": bao.ca_file.read_text(), "retry": False}
        bao.ask(node, "/v1/sys/storage/raft/join", "POST", body=join)
        bao.unseal(node)
    bao.until(lambda: all(bao.health(node) == 429 for node in others), "the others are standbys")
    bao.until(lambda: _tolerance(bao) == (len(bao.nodes) - 1) // 2, "all nodes vote")
    bao.root("/v1/sys/auth/approle", "POST", {"type": "approle"})


def _tolerance(bao: OpenBao) -> int:
    """How many nodes it can lose, as it says: what a kill before that leaves behind has no quorum."""
    state = bao.root("/v1/sys/storage/raft/autopilot/state")["data"]
    return int(state["failure_tolerance"])
