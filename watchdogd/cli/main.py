"""`watchdogd run | check-config | timing | diagram | --version`: the daemon, and what can be asked without it."""

from __future__ import annotations

import argparse
import grp
import os
import shutil
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

from watchdogd import __version__
from watchdogd.adapters.config import load_config
from watchdogd.adapters.config_types import parse_duration
from watchdogd.adapters.secrets import SecretReader
from watchdogd.adapters.settings import Settings
from watchdogd.adapters.vault.transport import TlsOptions, tls_context
from watchdogd.cli.saying import Parser, complain, say
from watchdogd.cli.timing import timing_lines
from watchdogd.core.budget import Assumed
from watchdogd.core.rules import notices
from watchdogd.daemon.exits import Exit
from watchdogd.daemon.leaving import end_what_hangs
from watchdogd.errors import ConfigError
from watchdogd.secret import without_secrets

DEFAULT_CONFIG = "/etc/watchdogd/watchdogd.toml"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code; the process ends with it when a thread hangs."""
    asked, before = _parser().parse_args(argv), threading.enumerate()
    code = _code_of(asked)
    end_what_hangs(code, before)
    return code


def _code_of(asked: argparse.Namespace) -> int:
    try:
        return int(asked.verb(asked))
    except ConfigError as exc:
        for problem in exc.problems:
            complain(problem)
        complain(f"{asked.config}: {len(exc.problems)} problem(s)")
        return Exit.CONFIG


def _parser() -> Parser:
    parser = Parser(prog="watchdogd", description=__doc__)
    parser.add_argument("--version", action="version", version=f"watchdogd {__version__}")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    run = verbs.add_parser("run", help="watch, decide and act, until told to stop")
    run.set_defaults(verb=_run)
    check = verbs.add_parser("check-config", help="say everything that is wrong with a config; asks nobody")
    check.set_defaults(verb=_check)
    timing = verbs.add_parser("timing", help="the worst case by name and number")
    timing.set_defaults(verb=_timing)
    for verb in (run, check, timing):
        verb.add_argument("config", nargs="?", default=DEFAULT_CONFIG, help=f"default {DEFAULT_CONFIG}")
    ours = Assumed()
    timing.add_argument("--promotion", type=_seconds, default=ours.promotion_s, help="what Vault takes to promote")
    timing.add_argument("--propagation", type=_seconds, default=ours.propagation_s, help="of the DNS provider")

    diagram = verbs.add_parser("diagram", help="the tables as a mermaid diagram")
    diagram.set_defaults(verb=_diagram, config="")
    return parser


def _seconds(text: str) -> float:
    try:
        return cast(float, parse_duration(text))
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from None


def _run(asked: argparse.Namespace) -> int:
    from watchdogd.daemon.app import run

    return run(asked.config)


def _check(asked: argparse.Namespace) -> Exit:
    settings = load_config(asked.config)
    for notice in notices(settings.policy):
        print(f"notice: {without_secrets(str(notice))}")
    lacks = _local_problems(settings)
    for problem in lacks:
        say(f"warning: {without_secrets(problem)}")
    pairs = ", ".join(settings.pairs)
    warned = f", with {len(lacks)} warning(s) of what this machine lacks" if lacks else ""
    say(f"{asked.config}: good ({settings.policy.environment}; {pairs}){warned}")
    return Exit.CLEAN


def _local_problems(settings: Settings) -> list[str]:
    """What is missing on this machine now. Never an error: the config is good, and may be meant for another machine."""
    reader = SecretReader.of_environment(os.environ)
    refs = [ref for pair in settings.pairs.values() for ref in pair.credentials.every_ref]
    problems = [problem for ref in refs if (problem := reader.problem_with(ref))]
    reader.close()
    problems += dict.fromkeys(
        problem for pair in settings.pairs.values() for tls in pair.tls.values() if (problem := _tls_problem(tls))
    )
    commands = [fence.argv[0] for pair in settings.pairs.values() for fence in pair.fences.values()]
    problems += [problem for path in dict.fromkeys(commands) if (problem := _fence_problem(path))]
    return [*problems, *_doors(settings)]


def _fence_problem(command: str) -> str:
    if shutil.which(command) is not None:
        return ""
    path = Path(command)
    why = "no such file" if not path.exists() else "not executable for this user" if path.is_file() else "no file"
    return f"fence: {command} cannot be run ({why}): no fence, and the gate `fence` stays closed"


def _tls_problem(options: TlsOptions) -> str:
    try:
        tls_context(options)
    except ConfigError as exc:
        return "; ".join(exc.problems)
    return ""


def _doors(settings: Settings) -> Iterator[str]:
    """What `watchdogctl` would meet: the directory of the socket, and who may act through it."""
    above = Path(settings.state_dir).parent
    if not above.is_dir():
        yield f"state_dir: {above} is no directory: the daemon makes its own below it, and not that"
    directory = Path(settings.control_socket).parent
    if not directory.is_dir():
        yield f"control.socket: {directory} is no directory: install -d -m 0750 -o USER -g GROUP {directory}"
    if settings.policy.environment.is_simulated:
        return  # whoever runs it may act
    try:
        grp.getgrnam(settings.operators_group)
    except KeyError:
        yield f"control.operators_group: no group {settings.operators_group} here: only root may act"


def _timing(asked: argparse.Namespace) -> Exit:
    settings = load_config(asked.config)
    assumed = Assumed(promotion_s=asked.promotion, propagation_s=asked.propagation)
    for pair in settings.pairs.values():
        for line in timing_lines(pair.policy, assumed):
            say(line)
    return Exit.CLEAN


def _diagram(asked: argparse.Namespace) -> Exit:
    from watchdogd.core.diagram import mermaid

    say(mermaid().rstrip("\n"))
    return Exit.CLEAN


if __name__ == "__main__":
    sys.exit(main())
