"""hvac, the client library of Python programs, as it is: it takes the served lab for a Vault."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.support.own_venv import ROOT, NotHere, program
from tests.support.served_lab import served_lab

pytestmark = [pytest.mark.real, pytest.mark.timeout(180)]

CALLS = ROOT / "tests" / "support" / "hvac_calls.py"
WANTED = {
    "health": True,
    "health HEAD": 200,
    "leader": True,
    "seal status": False,
    "initialized": True,
    "authenticated": True,
    "mounts": "kv",
    "policies": True,
    "acl policies": True,
    "policy write": 204,
    "policy read": True,
    "acl policy read": True,
    "policy delete": 204,
    "capabilities": ["root"],
    "token create": True,
    "token lookup": 5400,
    "token lookup by accessor": "",
    "token renew": 7200,
    "token accessors": True,
    "token revoke": 204,
    "token orphan": True,
    "token revoke by accessor": 204,
    "token revoke and orphan": 204,
    "lookup-self": ["root"],
    "renew-self": 3600,
    "revoke-self": 204,
    "token role write": 204,
    "token role read": ["default"],
    "token roles": True,
    "token by role": ["default"],
    "token role delete": 204,
    "approle login": "service",
    "kv2 write": 1,
    "kv2 read": {"x": "y"},
    "kv2 list": ["b"],
    "kv2 patch": 2,
    "kv2 metadata": 2,
    "kv2 delete": 204,
    "kv1 write": 204,
    "kv1 read": {"x": "y"},
    "kv1 list": ["c"],
}


def test_hvac_takes_the_lab_for_a_vault(tmp_path: Path) -> None:
    try:
        python = program("hvac", "python")
    except NotHere as exc:
        pytest.skip(str(exc))
    with served_lab(tmp_path / "lab") as background:
        host, port = background.address("east/1")
        done = subprocess.run(
            [python, CALLS, f"https://{host}:{port}", background.ca_file],
            input=json.dumps(dict(background.lab.world.credentials())),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == WANTED
        assert background.lab.world.crashed == []
