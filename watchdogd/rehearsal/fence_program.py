"""A fence command that ends as a scenario says: `exit 0`, `exit 75`, `exit 1`, `killed`, `hangs`, or one `but acted`.

`python -m watchdogd.rehearsal.fence_program PLAN LAB CLUSTER VERB`. PLAN is a JSON file: by verb the ends in turn, the
last one for ever. What acts is `watchdogd-lab fence` with the lab of the directory LAB.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

FOREVER_S = 3600
ACTED = " but acted"  # one that hangs, fails or is killed may have closed the network before


def main(argv: list[str]) -> int:
    plan, lab, cluster, verb = Path(argv[0]), *argv[1:4]
    end = _next(plan, verb)
    if end == "exit 0" or end.endswith(ACTED):
        acted = subprocess.run(  # noqa: S603  (our own command line)
            [sys.executable, "-m", "watchdogd.cli.lab", "fence", cluster, verb, "--dir", lab], check=False
        ).returncode
        if end == "exit 0":
            return acted
    match end.removesuffix(ACTED):
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "hangs":
            signal.sigtimedwait([signal.SIGUSR1], FOREVER_S)
    return int(end.removesuffix(ACTED).rpartition(" ")[2])


def _next(path: Path, verb: str) -> str:
    plan: dict[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))
    ends = plan[verb]
    end = ends.pop(0) if len(ends) > 1 else ends[0]
    path.write_text(json.dumps(plan), encoding="utf-8")
    return end


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
