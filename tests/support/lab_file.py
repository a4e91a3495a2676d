"""`lab.json` of a lab that nobody serves."""

from __future__ import annotations

from pathlib import Path

from watchdogd.lab.lab_file import ClusterEntry, LabFile


def cluster(number: int, name: str) -> ClusterEntry:
    """Three nodes and a load balancer, at the addresses of a lab."""
    nodes = tuple(f"https://127.1.{number}.{node}:8200" for node in (1, 2, 3))
    return ClusterEntry(
        address=f"https://127.1.{number}.100:8200",
        nodes=nodes,
        client_address=f"https://127.2.{number}.100:8200",
        client_nodes=nodes,
        dns_name=f"vault-{name}.example.test",
        vault_id=f"0000000{number}-0000-0000-0000-000000000000",
    )


def lab_file(folder: Path, *, kind: str = "dr", clusters: tuple[str, ...] = ("east", "west"), pid: int = 1) -> LabFile:
    """A lab of so many clusters, with its CA in `folder`."""
    names = ("dr_token_a", "dr_token_b", "root_token", "share_1", "share_2", "share_3")
    (folder / "ca.pem").touch()
    return LabFile(
        simulator=True,
        pid=pid,
        seed=1,
        kind=kind,
        port=8200,
        ca_file=str(folder / "ca.pem"),
        clusters={name: cluster(number, name) for number, name in enumerate(clusters, 1)},
        home=clusters[0],
        replication_id="00000003-0000-0000-0000-000000000000",
        credentials={name: f"{name}-of-the-lab" for name in names},
        service_name="vault.example.test",
        service_url="https://vault.example.test:8200",
        ttl_s=30,
        zone_id="Z0123456789ABCDEFGHIJ",
        authoritative=("127.1.0.11:8200", "127.1.0.12:8200"),
        resolvers={"bastion": "127.1.0.53:8200"},
        route53_url="http://127.1.0.80:8200",
        aws_region="us-east-1",
        aws_access_key_id="A",
        aws_secret_access_key="B",
        control_url="http://127.1.0.99:8200",
        control_token="C",
        events_file=str(folder / "events.jsonl"),
    )
