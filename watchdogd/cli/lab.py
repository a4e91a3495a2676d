"""`watchdogd-lab`: start the simulator, look at its truth, break it, and fence its regions.

Exit status: 0; 1 an expectation or an invariant broken; 2 usage, or no lab there, or an address in use, or nowhere to
write. `fence` alone: 0 done and looked, 75 try again.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import os
import shlex
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from watchdogd.adapters.clock import SystemClock
from watchdogd.cli import lab_text
from watchdogd.lab.environment import environment
from watchdogd.lab.fault_text import BadFault, duration_s, kinds
from watchdogd.lab.faults import FaultKind
from watchdogd.lab.knobs import Knobs
from watchdogd.lab.lab_file import LabFile, NoLab
from watchdogd.lab.spec import EMPTY, ClusterSpec, WorldSpec
from watchdogd.lab.wire import Place

if TYPE_CHECKING:
    from watchdogd.lab.serve import Settings

OK, USAGE, TRY_AGAIN = 0, 2, 75
BANNER = "SIMULATOR: no Vault, no AWS and no DNS of anybody is touched; everything listens on 127.0.0.0/8 only"
DIRECTORY = Path("watchdogd-lab")
LOOK_TIMEOUT_S = 0.5


class Refused(Exception):
    """The lab answered with an error; the message is what it said."""


class Gone(Exception):
    """The lab of this file does not answer."""


def main(argv: Sequence[str] | None = None) -> int:
    given = _parser().parse_args(argv)
    run: Callable[[argparse.Namespace], int] = given.run
    try:
        status = run(given)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads; it is flushed at the end
        return 128 + signal.SIGPIPE
    except (NoLab, BadFault, Refused, Gone) as exc:
        print(f"watchdogd-lab: {exc}", file=sys.stderr)
        return TRY_AGAIN if run is fence and isinstance(exc, NoLab | Gone) else USAGE
    return status


# ---------------------------------------------------------------------------------------------------------- up


def up(given: argparse.Namespace) -> int:
    """Serve until SIGINT or SIGTERM."""
    # TLS and HTTP servers cost half a second to import, which `fence` must not pay in the middle of a failover.
    from watchdogd.lab.route53 import Route53Knobs
    from watchdogd.lab.serve import Settings
    from watchdogd.lab.serve_socket import AddressInUse
    from watchdogd.lab.serve_up import NoDirectory

    _refuse_a_second_one(given.dir)
    settings = Settings(
        spec=_spec(given),
        seed=given.seed,
        epoch_utc_s=SystemClock().wall_utc().timestamp(),
        directory=given.dir,
        ttl_s=int(given.ttl),
        route53=Route53Knobs(propagation_s=given.propagation),
    )
    whys: list[str] = []
    try:
        asyncio.run(_serve(settings))
    except* (AddressInUse, NoDirectory) as group:
        whys = [str(exc) for exc in group.exceptions]
    if whys:
        print(f"watchdogd-lab: {whys[0]}", file=sys.stderr)
        return USAGE
    return OK


def _refuse_a_second_one(directory: Path) -> None:
    """A lab that serves from this directory would lose the file that says how to reach it, and its CA with it."""
    try:
        pid = LabFile.read(directory).pid
    except NoLab:
        return
    with suppress(PermissionError):  # it lives, as another user
        try:
            os.kill(pid, 0)
        except ProcessLookupError:  # it was killed, and could not take its file along
            return
    raise Refused(f"process {pid} serves a lab from {directory}: end it, or take another --dir")


def _spec(given: argparse.Namespace) -> WorldSpec:
    from watchdogd.lab.knob_text import knobs_in  # as for `up`: it reads the routes of the whole lab

    names = given.clusters.split(",")
    try:
        return WorldSpec(
            clusters=tuple(ClusterSpec(name=n, nodes=given.nodes, vault_version=given.vault_version) for n in names),
            kind=given.kind,
            port=given.port,
            knobs=Knobs(**{"promote_s": given.promote, "auto_unseal": given.kind != EMPTY, **knobs_in(given.knob)}),
        )
    except ValueError as exc:
        raise BadFault(str(exc)) from exc


def knobs(given: argparse.Namespace) -> int:
    """What nobody could confirm about Vault, and how the lab can be told to do it otherwise; or every knob there is."""
    from watchdogd.lab.doubts import listing  # as for `up`
    from watchdogd.lab.knob_text import every_knob

    print(every_knob() if given.all else listing())
    return OK


async def _serve(settings: Settings) -> None:
    from watchdogd.lab.serve_up import running

    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for signum in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signum, stop.set)
    async with running(settings) as (_lab, described):
        print(f"# {BANNER}\n# seed {settings.seed}, everything a client needs is in {settings.directory}/lab.json")
        print(environment(described, described.home))
        for cluster in [name for name in described.clusters if name != described.home]:
            print(f"# {cluster}: watchdogd-lab env {cluster} --dir {shlex.quote(str(settings.directory))}")
        sys.stdout.flush()
        await stop.wait()


# ---------------------------------------------------------------------------------------------------------- looking


def env(given: argparse.Namespace) -> int:
    """What a shell needs to use `vault`, `aws` and `dig` on one cluster of the lab."""
    lab = LabFile.read(given.dir)
    if given.cluster not in lab.clusters:
        raise Refused(f"no cluster {given.cluster!r}: one of {', '.join(lab.clusters)}")
    print(f"# {BANNER}")
    print(environment(lab, given.cluster))
    return OK


def config(given: argparse.Namespace) -> int:
    """What `watchdogd run` wants, to guard this lab. As the demo: an import of more than the other verbs need."""
    from watchdogd.rehearsal.own_daemon import own_config

    print(own_config(LabFile.read(given.dir), given.dir), end="")
    return OK


def status(given: argparse.Namespace) -> int:
    """The lab's own truth."""
    seen = _ask(LabFile.read(given.dir), "GET", "/status")
    if given.json:
        print(json.dumps(seen, indent=2))
        return OK
    print(*lab_text.status_lines(seen), sep="\n")
    return OK


# ---------------------------------------------------------------------------------------------------------- breaking


def fault_add(given: argparse.Namespace) -> int:
    wanted = {
        "kind": given.kind,
        "target": given.target,
        "place": given.place,
        "for_s": given.for_s,
        "words": given.words,
    }
    print(_ask(LabFile.read(given.dir), "POST", "/faults", wanted)["id"])
    return OK


def fault_list(given: argparse.Namespace) -> int:
    faults = _ask(LabFile.read(given.dir), "GET", "/faults")
    print(*(lab_text.fault_lines(faults) if faults else [lab_text.NO_FAULTS]), sep="\n")
    return OK


def fault_kinds(_given: argparse.Namespace) -> int:
    """What can be broken, where, and how."""
    print(kinds())
    return OK


def fault_clear(given: argparse.Namespace) -> int:
    path = "/faults" if given.id is None else f"/faults/{given.id}"
    gone = _ask(LabFile.read(given.dir), "DELETE", path)["cleared"]
    print(lab_text.cleared(gone, given.id))
    return OK


# ---------------------------------------------------------------------------------------------------------- fencing


def fence(given: argparse.Namespace) -> int:
    """A fence command as the daemon's config wants one: 0 only for what was done *and seen*, 75 for try again."""
    lab = LabFile.read(given.dir)
    if given.cluster not in lab.clusters:
        raise Refused(f"no cluster {given.cluster!r}: one of {', '.join(lab.clusters)}")
    if given.verb == "check":
        said = _ask(lab, "GET", f"/fence/{given.cluster}")
        print(f"the client network of {given.cluster} can be fenced; now {'closed' if said['closed'] else 'open'}")
        return OK
    said = _ask(lab, "PUT", f"/fence/{given.cluster}", {"on": given.verb == "on"})
    if given.verb == "off":
        print(f"the client network of {given.cluster} is {'closed' if said['closed'] else 'open'}")
        return TRY_AGAIN if said["closed"] else OK
    entry = lab.clusters[given.cluster]
    met = asyncio.run(_look((entry.client_address, *entry.client_nodes)))
    for url, seen in met.items():
        print(f"{url}: {seen}")
    is_closed = said["closed"] and "connected" not in met.values()
    print(f"the client network of {given.cluster} is {'closed, verified' if is_closed else 'NOT closed'}")
    return OK if is_closed else TRY_AGAIN


async def _look(urls: Sequence[str]) -> Mapping[str, str]:
    """What a client's connect meets at each address now."""
    return dict(zip(urls, await asyncio.gather(*map(_connect, urls)), strict=True))


async def _connect(url: str) -> str:
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(LOOK_TIMEOUT_S):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    except TimeoutError:
        return "no answer"
    except OSError as exc:
        return exc.strerror or type(exc).__name__
    writer.close()
    return "connected"


# ---------------------------------------------------------------------------------------------------------- telling


def demo(given: argparse.Namespace) -> int:
    """Everything at once, checked. It costs an import of the client libraries that the other verbs do without."""
    from watchdogd.cli.demo import demo as perform

    return perform(is_kept=given.keep, broken=given.broken)


def follow(given: argparse.Namespace) -> int:
    """The lab's truth as it happens. As the demo: an import of the client libraries."""
    from watchdogd.cli.lab_follow import follow as tell

    return tell(given.dir)


def run(given: argparse.Namespace) -> int:
    """A scenario played and judged. As the demo: the imports of the whole daemon, for this verb alone."""
    from watchdogd.cli.lab_run import run as play

    if given.keep and not given.live:
        raise Refused("--keep: there is a directory to keep with --live only; in virtual time nothing is written")
    return play(given.file, seed=given.seed, is_json=given.json, is_real=given.live, is_kept=given.keep)


def scenarios(_given: argparse.Namespace) -> int:
    """What there is to play. As `run`: its imports, for this verb alone."""
    from watchdogd.cli.lab_run import scenarios as listed

    return listed()


def soak(given: argparse.Namespace) -> int:
    """Days and losses by chance, played and judged. As `run`: the imports of the whole daemon, for this verb alone."""
    from watchdogd.cli.lab_soak import soak as play

    days = range(given.days) if given.day is None else (given.day,)
    losses = range(given.losses) if given.loss is None else (given.loss,)
    if not days and not losses:
        raise Refused("nothing to soak: --days N, --losses N, or one of them alone: --day NUMBER, --loss NUMBER")
    return play(given.seed, days=days, losses=losses)


# ---------------------------------------------------------------------------------------------------------- asking


def _ask(lab: LabFile, method: str, path: str, body: Mapping[str, object] | None = None) -> Any:
    """One request to the control endpoint. Raises Refused, Gone."""
    parts = urlsplit(lab.control_url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=5)
    headers = {"Authorization": f"Bearer {lab.control_token}", "Content-Type": "application/json"}
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        reply = connection.getresponse()
        said = json.loads(reply.read())
    except (OSError, http.client.HTTPException, ValueError) as exc:
        raise Gone(
            f"the lab at {lab.control_url} does not answer ({exc}); is `watchdogd-lab up` still running?"
        ) from exc
    finally:
        connection.close()
    if reply.status >= 400:
        raise Refused(said["error"])
    return said


# ---------------------------------------------------------------------------------------------------------- words


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="watchdogd-lab", description=f"The embedded world. {BANNER}.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    _add_up(verbs.add_parser("up", help="serve a world until interrupted"))
    shown = verbs.add_parser("env", help="print what a shell needs to use one cluster")
    shown.add_argument("cluster")
    shown.set_defaults(run=env)
    written = verbs.add_parser("config", help="print a config for a daemon of yours that guards this lab")
    written.set_defaults(run=config)
    told = verbs.add_parser("status", help="the lab's own truth")
    told.add_argument("--json", action="store_true")
    told.set_defaults(run=status)
    followed = verbs.add_parser("follow", help="what really happens, in words, until interrupted")
    followed.set_defaults(run=follow)
    faults = _add_faults(verbs.add_parser("fault", help="break something"))
    fenced = verbs.add_parser("fence", help="close or open the client network of a cluster's region, and look")
    fenced.add_argument("cluster")
    fenced.add_argument("verb", choices=["check", "on", "off"])
    fenced.set_defaults(run=fence)
    _add_run(verbs.add_parser("run", help="play a scenario: an incident as a file, and what must come of it"))
    verbs.add_parser("scenarios", help="the shipped scenarios, and what each stands for").set_defaults(run=scenarios)
    _add_soak(verbs.add_parser("soak", help="play days and losses by chance, and look for what is false or missed"))
    _add_knobs(verbs.add_parser("knobs", help="what nobody could confirm about Vault, and its choices"))
    _add_demo(verbs.add_parser("demo", help="the main job: a region is lost, and the daemon fails over"))
    for each in (shown, written, told, followed, fenced, *faults):
        each.add_argument(
            "--dir", type=Path, default=DIRECTORY, help="where `up` keeps lab.json (default: %(default)s)"
        )
    return parser


def _add_faults(parser: argparse.ArgumentParser) -> Sequence[argparse.ArgumentParser]:
    """Those that ask a lab."""
    verbs = parser.add_subparsers(required=True, metavar="VERB")
    added = _add_fault_add(verbs.add_parser("add", help=f"one of {', '.join(FaultKind)}"))
    verbs.add_parser("kinds", help="every kind, with its targets and parameters").set_defaults(run=fault_kinds)
    listed = verbs.add_parser("list", help="what is broken now, with its number")
    listed.set_defaults(run=fault_list)
    cleared = verbs.add_parser("clear", help="one fault, or all")
    cleared.add_argument("id", nargs="?", type=int)
    cleared.set_defaults(run=fault_clear)
    return added, listed, cleared


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a shipped scenario: NAME, NAME[CASE]; or the path of a file")
    parser.add_argument("--seed", type=int, help="instead of the file's own")
    parser.add_argument("--json", action="store_true", help="the story, the counts and every expectation, for programs")
    parser.add_argument("--live", action="store_true", help="with real processes, in real time")
    parser.add_argument("--keep", action="store_true", help="with --live: keep the directory with every log")
    parser.set_defaults(run=run)


def _add_soak(parser: argparse.ArgumentParser) -> None:
    days, losses = parser.add_mutually_exclusive_group(), parser.add_mutually_exclusive_group()
    days.add_argument("--days", type=_whole, default=0, metavar="N", help="so many days without a loss")
    days.add_argument("--day", type=_whole, metavar="NUMBER", help="this one alone: what a failure prints")
    losses.add_argument("--losses", type=_whole, default=0, metavar="N", help="so many true losses after random days")
    losses.add_argument("--loss", type=_whole, metavar="NUMBER", help="this one alone")
    parser.add_argument("--seed", type=int, default=1, help="the same seed plays the same (default: %(default)s)")
    parser.set_defaults(run=soak)


def _add_knobs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="every knob, with its default and what it means")
    parser.set_defaults(run=knobs)


def _add_demo(parser: argparse.ArgumentParser) -> None:
    """`demo`: watchdogd.cli.demo, which knows the lab by its command line and its lab.json, as an operator does."""
    parser.add_argument("--keep", action="store_true", help="keep the directory with the config and every log")
    parser.add_argument("--break", dest="broken", choices=["fence"], help="spoil it, and see how the demo says so")
    parser.set_defaults(run=demo)


def _add_up(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=up)
    parser.add_argument("--dir", type=Path, default=DIRECTORY, help="where lab.json goes (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--clusters", default="east,west", help="names; the first one begins as primary and is published"
    )
    parser.add_argument("--nodes", type=int, default=3, help="per cluster")
    parser.add_argument(
        "--kind",
        choices=["dr", "performance", EMPTY],
        default="dr",
        help=f"the replication that stands at the start; {EMPTY}: empty clusters with a Shamir seal, not initialised",
    )
    parser.add_argument("--vault-version", default="1.19.0")
    parser.add_argument("--port", type=int, default=8200, help="one port, at every address")
    parser.add_argument("--ttl", type=_duration, default=30.0, metavar="30s", help="of the service name")
    parser.add_argument(
        "--propagation", type=_duration, default=5.0, metavar="5s", help="of a change at the name servers"
    )
    parser.add_argument("--promote", type=_duration, default=10.0, metavar="10s", help="what Vault takes to promote")
    parser.add_argument("--knob", action="append", default=[], metavar="NAME=VALUE", help="one more, of any knob")


def _add_fault_add(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.set_defaults(run=fault_add)
    parser.add_argument("kind", metavar="KIND", help=", ".join(FaultKind))
    parser.add_argument(
        "target", metavar="TARGET", help="node:east/1 cluster:east region:east lb:east link:A>B repl:A>B dns aws"
    )
    parser.add_argument(
        "words", nargs="*", default=[], metavar="NAME=VALUE", help="what `fault kinds` lists below the kind"
    )
    parser.add_argument(
        "--from", dest="place", choices=[place.value for place in Place], help="only for requests from there"
    )
    parser.add_argument("--for", dest="for_s", type=_duration, metavar="30s", help="until it goes by itself")
    return parser


def _duration(text: str) -> float:
    try:
        return duration_s(text)
    except BadFault as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 on")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
