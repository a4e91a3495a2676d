"""What a shell needs to use `vault`, `aws` and `dig` on one cluster of a served lab."""

from __future__ import annotations

import shlex

from watchdogd.lab.lab_file import LabFile
from watchdogd.lab.wire import Place


def environment(lab: LabFile, cluster: str) -> str:
    """Comments and exports, ready to be pasted."""
    entry = lab.clusters[cluster]
    host, _, port = lab.resolvers[Place.BASTION].partition(":")
    variables = {
        "VAULT_ADDR": entry.address,
        "VAULT_CACERT": lab.ca_file,
        "VAULT_TOKEN": lab.credentials.get(f"root_token_{cluster}", lab.credentials.get("root_token")),
        "AWS_ENDPOINT_URL_ROUTE_53": lab.route53_url,
        "AWS_DEFAULT_REGION": lab.aws_region,
        "AWS_ACCESS_KEY_ID": lab.aws_access_key_id,
        "AWS_SECRET_ACCESS_KEY": lab.aws_secret_access_key,
    }
    comments = [
        f"# {cluster}: nodes {' '.join(entry.nodes)}",
        f"# {cluster}: clients use {entry.client_address}, published as {entry.dns_name}",
        f"# dig @{host} -p {port} {lab.service_name}",
    ]
    if lab.kind != "performance":
        node = f"export VAULT_ADDR={entry.nodes[0]}"
        comments.append(f"# {cluster} as a DR secondary: {node}; its load balancer has nobody to send to")
    exports = [f"export {name}={shlex.quote(value)}" for name, value in variables.items() if value is not None]
    return "\n".join([*comments, *exports])
