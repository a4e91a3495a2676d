"""A fence command for tests: `fence_command.py HOW VERB`. Prints its verb and environment; HOW says what it does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

SLEEP = ["/bin/sleep", "60"]


def leave_grandchild() -> None:
    """A process of our group that holds our output open."""
    subprocess.Popen(SLEEP, stdin=subprocess.DEVNULL)


def hang() -> None:
    while True:
        time.sleep(1)  # noqa: TID251  # a process of its own: it does nothing but hang


def act(how: str) -> int:
    match how:
        case "exit":
            return int(os.environ["WATCHDOGD_EPOCH"])
        case "die":
            os.kill(os.getpid(), signal.SIGABRT)
        case "shout":
            sys.stdout.write("y" * 4_000_000)
        case "whisper":
            sys.stdout.write("token hvs." + "C" * 90 + " old s." + "d" * 24 + " on stdout\n")
            sys.stderr.write("and hvb.AAAAAQ on stderr\n")
        case "hang":
            hang()
        case "ignore-term":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            leave_grandchild()
            hang()
        case "leave-grandchild":
            leave_grandchild()
        case "read":
            sys.stdout.write(repr(sys.stdin.read()))
    return 0


def report() -> None:
    told = {key: value for key, value in os.environ.items() if key not in ("LC_CTYPE", "__CF_USER_TEXT_ENCODING")}
    seen = {"argv": sys.argv[2:], "environment": told, "pid": os.getpid(), "group": os.getpgid(0), "cwd": os.getcwd()}
    sys.stdout.write(json.dumps(seen) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    report()
    sys.exit(act(sys.argv[1]))
