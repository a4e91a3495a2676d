"""Nodes of a real server as processes on loopback: Vault Enterprise, or OpenBao, which takes the same configuration.

Sources of what stands in it: developer.hashicorp.com/vault/docs, pages `configuration`, `configuration/storage/raft`
(`cluster_addr` is needed, `disable_mlock` recommended, `performance_multiplier`), `configuration/listener/tcp`, and
`enterprise/license/autoloading` (VAULT_LICENSE before VAULT_LICENSE_PATH before `license_path`); read 2026-11.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import trustme

from watchdogd.rehearsal.free_ports import free_port

HOST = "127.0.0.1"
ENDED_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """What is started, and what of its surroundings and of its configuration is its own."""

    program: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    listener: str = ""  # more lines of the listener


@dataclass(slots=True, kw_only=True)
class Node:
    """One process and where it listens."""

    name: str
    port: int
    cluster_port: int
    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"https://{HOST}:{self.port}"


def laid_out(folder: Path, name: str, authority: trustme.CA, *, cluster: str, listener: str = "") -> Node:
    """A node with its folder, its certificate and its configuration; not started."""
    node = Node(name=name, port=free_port(), cluster_port=free_port(), folder=folder / name)
    (node.folder / "raft").mkdir(parents=True)
    leaf = authority.issue_cert(HOST)
    leaf.private_key_pem.write_to_path(str(node.folder / "key.pem"))
    leaf.cert_chain_pems[0].write_to_path(str(node.folder / "cert.pem"))
    (node.folder / "config.hcl").write_text(
        f"""
disable_mlock = true
cluster_name = "{cluster}"
api_addr = "{node.url}"
cluster_addr = "https://{HOST}:{node.cluster_port}"
storage "raft" {{
  path = "{node.folder}/raft"
  node_id = "{name}"
  performance_multiplier = 1
}}
listener "tcp" {{
  address = "{HOST}:{node.port}"
  cluster_address = "{HOST}:{node.cluster_port}"
  tls_cert_file = "{node.folder}/cert.pem"
  tls_key_file = "{node.folder}/key.pem"
  {listener}
}}
""",
        encoding="utf-8",
    )
    return node


def start(binary: Binary, node: Node) -> None:
    """Start the process of a node, with nothing of our own environment but the search path."""
    with (node.folder / "log").open("ab") as log:
        node.process = subprocess.Popen(
            [binary.program, "server", f"-config={node.folder / 'config.hcl'}"],
            stdout=log,
            stderr=log,
            env={"PATH": os.environ.get("PATH", ""), "HOME": str(node.folder), **binary.environ},
        )


def kill(node: Node) -> None:
    """As the power does it."""
    if node.process is not None:
        node.process.kill()
        node.process.wait(timeout=ENDED_S)
