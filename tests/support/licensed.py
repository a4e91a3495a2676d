"""Which licensed Vault Enterprise the end-to-end suite is pointed at: two variables of the environment.

`python -m tests.support.licensed` says in one line whether they will do, as `make enterprise` asks before it begins.
Sources: `vault version` prints `Vault vX.Y.Z` (developer.hashicorp.com/vault/docs/commands/version), with the suffix
`+ent` that `version` of sys/health has (HEALTHSRC of the reference; UNCONFIRMED that the command shows it). A
licence is loaded from the file that VAULT_LICENSE_PATH names (.../vault/docs/enterprise/license/autoloading).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.real_nodes import Binary

BINARY, LICENCE = "WATCHDOGD_VAULT_BINARY", "WATCHDOGD_VAULT_LICENSE"
VERSION_S = 20.0


class Misconfigured(Exception):
    """The variables do not name a licensed Vault Enterprise; the text is one sentence that says what is wrong."""


def is_asked_for(environ: Mapping[str, str]) -> bool:
    """Whether somebody wants it: one of the two variables is enough, so that a forgotten one is told."""
    return bool(environ.get(BINARY) or environ.get(LICENCE))


def licensed(environ: Mapping[str, str]) -> Binary:
    """What the two variables name. Raises Misconfigured."""
    given, licence = environ.get(BINARY, ""), environ.get(LICENCE, "")
    if not given:
        raise Misconfigured(f"{BINARY} must name the binary of a Vault Enterprise, and is not set")
    program = Path(given).expanduser().absolute()
    if not (program.is_file() and os.access(program, os.X_OK)):
        raise Misconfigured(f"{BINARY}={given} is no file that can be executed")
    said = _version(program)
    if not said.startswith("Vault v"):
        raise Misconfigured(f"{BINARY}={given} is not Vault, which alone has replication: its version is {said!r}")
    if "+ent" not in said:
        raise Misconfigured(f"{BINARY}={given} is not an Enterprise build, which alone has replication: {said!r}")
    if not licence:
        raise Misconfigured(f"{LICENCE} must name the file with the licence for {given}, and is not set")
    file = Path(licence).expanduser().absolute()
    if not (file.is_file() and os.access(file, os.R_OK)):
        raise Misconfigured(f"{LICENCE}={licence} is no file that can be read")
    return Binary(program=program, environ={"VAULT_LICENSE_PATH": str(file)})


def _version(program: Path) -> str:
    """The first line of `BINARY version`; what went wrong where there is none."""
    try:
        done = subprocess.run([program, "version"], capture_output=True, text=True, timeout=VERSION_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as exc:
        return str(exc)
    return (done.stdout or done.stderr).strip().partition("\n")[0]


def main() -> int:
    try:
        binary = licensed(os.environ)
    except Misconfigured as exc:
        sys.stderr.write(f"make enterprise: {exc}\n")
        return 2
    said = "NOT VERIFIED: this suite was never run against Vault Enterprise; see docs/lab.md"
    sys.stdout.write(f"{_version(binary.program)}\n{said}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
