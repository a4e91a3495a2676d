"""`watchdogctl`: ask the daemon, and act through it. Standard library only: it works when the rest is broken."""

from __future__ import annotations

import argparse
import http.client
import json
import socket
import sys
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from shlex import quote as shell_quote
from urllib.parse import quote, urlencode

from watchdogd.adapters.clock import SystemClock
from watchdogd.cli import ctl_text as text
from watchdogd.cli.ctl_last import DEFAULT_STATE_DIR, NothingKept, last_known
from watchdogd.cli.saying import Parser, complain, say
from watchdogd.core.commands import DEFAULT_SOCKET, PROGRAM, Command, at_socket
from watchdogd.core.explain import Json, Shape
from watchdogd.daemon.protocol import API, MALFORMED, STARTING, Code

TIMEOUT_S = 15.0  # the daemon answers within 10
ACTIONS = ("failover", "settle-debt", "cutover-dns", "roll-back", "release-fence")


class Exit(IntEnum):
    """Exit codes (INTERFACES section 7)."""

    DONE = 0
    BUG = 1
    USAGE = 2
    REFUSED = 3
    NO_DAEMON = 4
    NOT_ALLOWED = 5
    CONFLICT = 6
    NEEDS_HUMAN = 7
    GAVE_UP = 8
    DEGRADED = 10
    NOT_READY = 11
    ACTING = 12
    FROZEN = 13


EXIT_OF_STATUS = {
    400: Exit.USAGE,
    403: Exit.NOT_ALLOWED,
    404: Exit.USAGE,
    409: Exit.CONFLICT,
    413: Exit.USAGE,
    422: Exit.REFUSED,
    429: Exit.REFUSED,
    503: Exit.REFUSED,
}
CHECK = {"steady": Exit.DONE, "suspect": Exit.DEGRADED, "acting": Exit.ACTING, "frozen": Exit.FROZEN}


class UnixConnection(http.client.HTTPConnection):
    """HTTP over the control socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket file."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@dataclass(frozen=True, slots=True)
class Reply:
    """What the daemon answered."""

    status: int
    body: Shape


class Unsure(Exception):
    """The daemon did not answer in time: whether it was done is unknown."""


def ask(path: str, method: str, url: str, body: Shape | None = None) -> Reply:
    """One request. Raises: OSError (no daemon), Unsure."""
    connection = UnixConnection(path)
    try:
        connection.connect()
        payload = None if body is None else json.dumps(body)
        try:
            connection.request(method, API + url, body=payload, headers={"Content-Type": "application/json"})
            answer = connection.getresponse()
            return Reply(answer.status, json.loads(answer.read()))
        except (TimeoutError, ConnectionError, http.client.HTTPException, ValueError) as exc:
            raise Unsure(type(exc).__name__) from exc
    finally:
        connection.close()


# ------------------------------------------------------------------------------------------------------------- verbs


@dataclass(frozen=True, slots=True)
class Verb:
    """One command line: how it is asked for, and how its answer reads: below what the journal has, as it is there."""

    request: Callable[[argparse.Namespace], tuple[str, str, Shape | None]]
    show: Callable[[Shape], Sequence[str]]
    check: Callable[[argparse.Namespace, Shape], Exit] = lambda asked, body: Exit.DONE
    entries: Callable[[Shape], Sequence[str]] = lambda body: ()


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code."""
    asked = parsed(argv)
    try:
        _find_pair(asked)
        return run(asked)
    except Unsure as exc:
        look = _as_asked(asked, f"{PROGRAM} {Command.HISTORY}")
        complain(f"no answer in time ({exc}): whether it was done is unknown; look with `{look}`")
        return Exit.GAVE_UP
    except PermissionError:
        complain(f"{asked.socket}: not allowed: you must be in the group that owns it")
        return Exit.NOT_ALLOWED
    except OSError as exc:
        complain(
            f"{asked.socket}: no daemon answers ({exc.strerror or exc}): is it running, and is this the `socket` of its"
            " config? else --socket PATH"
        )
        _show_last_known(asked)
        return Exit.NO_DAEMON


def _show_last_known(asked: argparse.Namespace) -> None:
    """What was written down last, for the verbs that only look."""
    if not asked.without_daemon:
        return
    try:
        kept = last_known(Path(asked.state_dir), SystemClock().wall_utc())
    except NothingKept as why:
        complain(f"and nothing is known from before: {why}")
        return
    say(json.dumps(kept, indent=2) if asked.json else "\n".join(text.last_known_lines(kept)))


def run(asked: argparse.Namespace) -> int:
    """Ask, show, and say how it went."""
    verb: Verb = asked.verb
    method, url, body = verb.request(asked)
    if body is not None:
        body.setdefault("request_id", str(uuid.uuid4()))
    reply = ask(asked.socket, method, url, body)
    if asked.json:
        say(json.dumps(reply.body, indent=2))
    elif reply.status >= MALFORMED:
        print(_as_asked(asked, "\n".join(text.error_lines(reply.body))), file=sys.stderr)
    else:
        say("\n".join([*verb.entries(reply.body), *(_as_asked(asked, line) for line in verb.show(reply.body))]))
    if reply.status == STARTING and _table(reply.body.get("error")).get("code") == Code.SLOW:
        return Exit.GAVE_UP
    if reply.status >= MALFORMED:
        return EXIT_OF_STATUS.get(reply.status, Exit.BUG)
    return verb.check(asked, reply.body)


def _as_asked(asked: argparse.Namespace, said: str) -> str:
    """What is typed next asks the daemon that was asked now."""
    return at_socket(said, shell_quote(asked.socket))


def _table(value: Json) -> Shape:
    return value if isinstance(value, dict) else {}


def _find_pair(asked: argparse.Namespace) -> None:
    """The one pair of the daemon, where none was named and there is only one."""
    if getattr(asked, "pair", "") is not None:
        return
    pairs = ask(asked.socket, "GET", "/status").body.get("pairs")
    names = [str(one["pair"]) for one in pairs if isinstance(one, dict)] if isinstance(pairs, list) else []
    if len(names) != 1:
        parser().error(f"name the pair with --pair: one of {', '.join(names)}")
    asked.pair = names[0]


def _status_check(asked: argparse.Namespace, body: Shape) -> Exit:
    if not asked.check:
        return Exit.DONE
    pairs = body["pairs"]
    found = [one for one in pairs if isinstance(one, dict)] if isinstance(pairs, list) else []
    worst = max((CHECK.get(str(one.get("phase")), Exit.NOT_READY) for one in found), default=Exit.NOT_READY)
    if worst is Exit.DONE and not all(one.get("failover_ready") for one in found):
        return Exit.NOT_READY
    return worst


def _run_check(asked: argparse.Namespace, body: Shape) -> Exit:
    return Exit.NEEDS_HUMAN if body.get("state") == "parked" else Exit.DONE


def _history(asked: argparse.Namespace) -> tuple[str, str, None]:
    given = {"limit": asked.limit, "before": asked.before, "pair": asked.of_pair}
    return "GET", "/history?" + urlencode({k: v for k, v in given.items() if v is not None}), None


def _plan(asked: argparse.Namespace) -> tuple[str, str, None]:
    query = urlencode({"action": asked.action, "target": asked.target, "waive": asked.waive})
    return "GET", f"/pairs/{quote(asked.pair, safe='')}/plan?{query}", None


def _approve(asked: argparse.Namespace) -> tuple[str, str, Shape | None]:
    if asked.plan_hash is not None:
        return _of_pair("POST", "approve", "plan_hash", "reason")(asked)
    return _of_pair("POST", "start", "runbook", "target", "reason")(asked)


def _of_pair(method: str, what: str, *keys: str) -> Callable[[argparse.Namespace], tuple[str, str, Shape | None]]:
    """A request about one pair whose body holds the named arguments."""

    def request(asked: argparse.Namespace) -> tuple[str, str, Shape | None]:
        url = f"/pairs/{quote(asked.pair, safe='*')}/{what}"
        return method, url, _body(asked, *keys) if method == "POST" else None

    return request


def _of_run(what: str, *keys: str) -> Callable[[argparse.Namespace], tuple[str, str, Shape | None]]:
    def request(asked: argparse.Namespace) -> tuple[str, str, Shape | None]:
        return "POST", f"/runs/{quote(asked.run_id, safe='')}/{what}", _body(asked, *keys)

    return request


def _body(asked: argparse.Namespace, *keys: str) -> Shape:
    given = {key: getattr(asked, key) for key in keys}
    return {key: value for key, value in given.items() if value is not None}


# ------------------------------------------------------------------------------------------------------------ parser


def parser() -> Parser:
    """The whole command line."""
    whole = Parser(prog=PROGRAM, description=__doc__)
    whole.add_argument("--socket", default=DEFAULT_SOCKET, help=f"default {DEFAULT_SOCKET}")
    said = f"read when no daemon answers; default {DEFAULT_STATE_DIR}"
    whole.add_argument("--state-dir", default=DEFAULT_STATE_DIR, help=said)
    whole.add_argument("--json", action="store_true", help="the daemon's own answer")
    verbs = whole.add_subparsers(required=True, metavar="VERB")
    _reading(verbs)
    _acting(verbs)
    _debts(verbs)
    _runs(verbs)
    return whole


def parsed(argv: Sequence[str] | None) -> argparse.Namespace:
    """What was typed. Ends with exit 2 when it makes no sense."""
    asked = parser().parse_args(argv)
    if "plan_hash" in asked:
        named = [one is not None for one in (asked.runbook, asked.target)]
        if any(named) is (asked.plan_hash is not None) or any(named) is not all(named):
            parser().error("approve takes ACTION and CLUSTER, or --plan HASH")
    return asked


Verbs = argparse._SubParsersAction  # argparse has no public name for what add_subparsers returns


def _add(verbs: Verbs[Parser], command: Command, verb: Verb, *, says: str) -> Parser:
    made = verbs.add_parser(command.name_below, help=says, description=says)
    made.set_defaults(verb=verb, pair="", without_daemon=command in (Command.STATUS, Command.EXPLAIN))
    # Also after the verb, where people type them; SUPPRESS keeps what stood before it.
    made.add_argument("--socket", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    made.add_argument("--state-dir", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    made.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return made


def _with_pair(made: Parser) -> Parser:
    made.add_argument("--pair", default=None, help="may be left out where the daemon watches only one")
    return made


def _with_reason(made: Parser) -> Parser:
    made.add_argument("--reason", required=True, help="journalled with your uid")
    return made


def _reading(verbs: Verbs[Parser]) -> None:
    status = Verb(lambda asked: ("GET", "/status", None), text.status_lines, _status_check)
    made = _add(verbs, Command.STATUS, status, says="every pair in a few lines")
    codes = "exit 0 healthy, 10 degraded, 11 not ready, 12 acting, 13 frozen"
    made.add_argument("--check", action="store_true", help=codes)
    explain = Verb(_of_pair("GET", "explain"), text.explain_lines)
    _with_pair(_add(verbs, Command.EXPLAIN, explain, says="why, or why not"))
    made = _add(
        verbs,
        Command.HISTORY,
        Verb(_history, lambda body: (), entries=text.history_lines),
        says="what the journal holds, newest last",
    )
    made.add_argument("--pair", dest="of_pair", help="of this pair only")
    made.add_argument("--limit", type=int, default=30)
    made.add_argument("--before", type=int, help="entries with a smaller number than this")
    plan = Verb(_plan, text.plan_lines)
    made = _add(
        verbs, Command.PLAN, plan, says="what a run would do now, what blocks it, and the hash that approves it"
    )
    made.add_argument("target", metavar="CLUSTER")
    made.add_argument("--action", choices=ACTIONS, default=ACTIONS[0], help=f"default {ACTIONS[0]}")
    made.add_argument("--waive", default="", metavar="GATE,...", help="as if these gates were waived")
    _with_pair(made)
    timing = Verb(lambda asked: ("GET", "/timing", None), text.timing_lines)
    _add(verbs, Command.TIMING, timing, says="the worst case of the running config, by name and number")
    version = Verb(lambda asked: ("GET", "/version", None), lambda body: [f"watchdogd {body['version']}"])
    _add(verbs, Command.VERSION, version, says="the daemon's version")


def _acting(verbs: Verbs[Parser]) -> None:
    pause = Verb(_of_pair("POST", "pause", "reason", "for_s"), text.done)
    made = _add(verbs, Command.PAUSE, pause, says="nothing starts")
    _with_reason(_with_pair(made)).add_argument(
        "--for", dest="for_s", type=_seconds, metavar="30m", help="for ever else"
    )
    made = _add(verbs, Command.RESUME, Verb(_of_pair("POST", "resume", "reason"), text.done), says="the pause is over")
    _with_reason(_with_pair(made))
    failover = Verb(_of_pair("POST", "failover", "target", "reason", "waive", "now"), text.started)
    made = _add(verbs, Command.FAILOVER, failover, says="promote the named cluster")
    made.add_argument("target", metavar="CLUSTER")
    made.add_argument("--waive", metavar="GATE,...", help="gates to pass over, by name")
    made.add_argument("--now", action="store_true", default=None, help="as --waive window: skip the waiting time")
    _with_reason(_with_pair(made))
    approve = Verb(_approve, text.approved)
    made = _add(
        verbs, Command.APPROVE, approve, says="start what a row asks for and waits with, or a plan that you have read"
    )
    made.add_argument("runbook", metavar="ACTION", nargs="?", choices=ACTIONS)
    made.add_argument("target", metavar="CLUSTER", nargs="?")
    said = f"of `{PROGRAM} {Command.PLAN}`: that very run, or none"
    made.add_argument("--plan", dest="plan_hash", metavar="HASH", help=said)
    _with_reason(_with_pair(made))
    made = _add(verbs, Command.ACK, Verb(_of_pair("POST", "ack", "reason"), text.done), says="a human has looked")
    _with_reason(_with_pair(made))
    adopt = Verb(_of_pair("POST", "adopt", "cluster", "reason"), text.done)
    made = _add(verbs, Command.ADOPT, adopt, says="record that the named cluster is the elected one")
    made.add_argument("cluster", metavar="CLUSTER")
    _with_reason(_with_pair(made))
    reload = Verb(lambda asked: ("POST", "/reload", _body(asked, "reason")), text.reload_lines)
    made = _add(verbs, Command.RELOAD, reload, says="read the config again; on any error the running one is kept")
    made.add_argument("--reason", default=f"{PROGRAM} {Command.RELOAD}", help="logged with your uid")


def _debts(verbs: Verbs[Parser]) -> None:
    debt = verbs.add_parser("debt", help="what a demoted or dead primary owes").add_subparsers(required=True)
    _with_pair(_add(debt, Command.DEBT_LIST, Verb(_of_pair("GET", "explain"), text.debt_lines), says="open debts"))
    forgive = Verb(_of_pair("POST", "debt/forgive", "cluster", "reason"), text.done)
    made = _add(debt, Command.DEBT_FORGIVE, forgive, says="the named cluster never comes back")
    made.add_argument("cluster", metavar="CLUSTER")
    _with_reason(_with_pair(made))


def _runs(verbs: Verbs[Parser]) -> None:
    run_verbs = verbs.add_parser("run", help="look at a run, or help a parked one on").add_subparsers(required=True)
    show = Verb(
        lambda asked: ("GET", f"/runs/{quote(asked.run_id, safe='')}", None),
        text.run_lines,
        _run_check,
        text.run_entry_lines,
    )
    made = _add(run_verbs, Command.RUN_SHOW, show, says="its steps, and what was written down")
    made.add_argument("run_id", metavar="RUN")
    for command, keys, says in (
        (Command.RUN_RETRY, ("reason",), "try the parked step again"),
        (Command.RUN_SKIP, ("reason",), "pass over the parked step"),
        (Command.RUN_PROCEED, ("reason", "waive"), "go on with gates waived, for this run only"),
        (Command.RUN_ABORT, ("reason",), "give up, and undo what can be undone"),
        (Command.RUN_ADOPT, ("reason", "cluster"), "take the world as it is, and elect the named cluster"),
    ):
        made = _add(run_verbs, command, Verb(_of_run(command.name_below, *keys), text.started), says=says)
        made.add_argument("run_id", metavar="RUN")
        if command is Command.RUN_ADOPT:
            made.add_argument("cluster", metavar="CLUSTER")
        if command is Command.RUN_PROCEED:
            made.add_argument("--waive", metavar="GATE,...", required=True)
        _with_reason(made)


def _seconds(given: str) -> float:
    units = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    number, unit = given[:-1], given[-1:]
    if unit not in units or not number.isdigit() or not int(number):
        raise argparse.ArgumentTypeError(f"{given!r} is no duration: like 90s, 30m, 2h")
    return int(number) * units[unit]


if __name__ == "__main__":
    sys.exit(main())
