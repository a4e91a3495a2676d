"""`watchdogd-lab run FILE [--live]`: a scenario played in virtual time or with real processes, told, and judged.

Exit status: 0 all of it held; 1 an expectation or an invariant is broken; 2 no such scenario, or its file is none, or
it cannot be played with real processes; 128 + signal when interrupted.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import textwrap
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from watchdogd.cli.demo_voice import Tone, Voice
from watchdogd.cli.performing import performed
from watchdogd.rehearsal.files import Line, NoScenario, Scenario, described, scenarios_of
from watchdogd.rehearsal.limits import CannotBeReal, reasons
from watchdogd.rehearsal.play import Played, play_at_once
from watchdogd.rehearsal.processes import none_left
from watchdogd.rehearsal.real_play import play_for_real

OK, BROKEN, USAGE = 0, 1, 2
GRACE_S = 120.0  # for starting and stopping what is played with real processes
# By the first word of a line of the story: who speaks, and how.
WHO: Mapping[str, tuple[str, Tone]] = {
    "world": ("lab", Tone.MUTED),
    "applied": ("lab", Tone.ACT),
    "published": ("dns", Tone.GOOD),
    "fence": ("fence", Tone.ACT),
    "act": ("file", Tone.ACT),
    "reply": ("vault", Tone.PLAIN),
    "order": ("operator", Tone.ACT),
    "decision": ("decision", Tone.TITLE),
    "run": ("run", Tone.ACT),
    "step": ("run", Tone.PLAIN),
    "page": ("page", Tone.WARN),
    "warn": ("notice", Tone.MUTED),
}
LEFT_OUT = ("journal",)  # every entry is told by what it is for: a run, a step, a row
MORE_MAX = 300  # characters of what there is to a line; --json has all of it
HELD = "every expectation and every invariant held"
# With real processes the daemon's own facts are out of sight, and most of the invariants with them.
HELD_FOR_REAL = (
    "every expectation held, and of the invariants those that are asked with --live: no promote too many (I3), "
    "no secret written down (I5), the lab does not fail"
)
UNITS = {"acknowledged_writes_lost": ""}  # the others are seconds


def run(wanted: str, *, seed: int | None, is_json: bool, is_real: bool = False, is_kept: bool = False) -> int:
    """Play every case that was asked for; the exit status."""
    try:
        scenarios = scenarios_of(wanted, seed=seed)
        if is_real:
            return run_for_real(wanted, scenarios, is_json=is_json, is_kept=is_kept)
        return _run(wanted, scenarios, is_json=is_json)
    except (NoScenario, CannotBeReal) as exc:
        print(f"watchdogd-lab: {exc}", file=sys.stderr)
        return USAGE
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nobody reads; it is flushed at the end
        return 128 + signal.SIGPIPE


def scenarios() -> int:
    """The shipped ones, for whoever looks for one to play."""
    for name, cases, about in described():
        print(f"{name}{f'  ({cases} cases)' if cases > 1 else ''}", *textwrap.wrap(about, 100), sep="\n    ")
    return OK


def _run(wanted: str, scenarios: Sequence[Scenario], *, is_json: bool) -> int:
    played = []
    for scenario in scenarios:
        one = play_at_once(scenario)
        played.append(one)
        if not is_json:
            is_short = len(scenarios) > 1 and one.has_held
            tell(one, Voice(sys.stdout, float), again=again(wanted, scenario), is_short=is_short)
    if is_json:
        print(json.dumps([as_json(one) for one in played], indent=2))
    return OK if all(one.has_held for one in played) else BROKEN


def again(wanted: str, scenario: Scenario, *, is_real: bool = False) -> str:
    """The line that plays this one case again, whatever file it is of."""
    named = wanted if wanted.endswith("]") or not scenario.case else f"{wanted}[{scenario.case}]"
    return f"watchdogd-lab run {shlex.quote(named)} --seed {scenario.seed}{' --live' if is_real else ''}"


# ------------------------------------------------------------------------------------------------ with real processes


def run_for_real(wanted: str, scenarios: Sequence[Scenario], *, is_json: bool, is_kept: bool) -> int:
    """As `run`, in real time. Nothing is started when any of them cannot be played so. Raises: CannotBeReal."""
    if why := [f"  {one.name}: {reason}" for one in scenarios for reason in reasons(one)]:
        raise CannotBeReal("\n".join(["cannot be played with real processes (without --live it can):", *why]))
    told: list[Mapping[str, object]] | None = [] if is_json else None
    status = OK
    for scenario in scenarios:
        perform = partial(_perform, scenario, told=told, again=again(wanted, scenario, is_real=True))
        within_s = scenario.until_s + GRACE_S
        ended = performed("watchdogd-run-", perform, within_s=within_s, is_kept=is_kept, out=sys.stderr)
        status = status or ended
        if ended > BROKEN:
            break  # interrupted, or nobody reads: the others are not wanted any more
    if told is not None:
        print(json.dumps(told, indent=2))
    return status


async def _perform(scenario: Scenario, directory: Path, told: list[Mapping[str, object]] | None, *, again: str) -> int:
    """`told`: for programs; None where people read along. `again`: the line that plays it again."""
    voice = Voice(sys.stdout, float)

    def on_line(line: Line) -> None:
        say(voice, line)
        voice.flush()

    if told is None:
        voice.title(f"{scenario.name}, seed {scenario.seed}, with real processes: {scenario.until_s:.0f} s")
        voice.line(scenario.stands_for, Tone.MUTED)
        voice.line()
    played = await play_for_real(scenario, directory, on_line if told is None else _nobody)
    none_left(directory)
    if told is None:
        sum_up(played, voice, again=again, held=HELD_FOR_REAL)
    else:
        told.append(as_json(played))
    return OK if played.has_held else BROKEN


def _nobody(line: Line) -> None:
    """No one reads along."""


# ---------------------------------------------------------------------------------------------------------- for people


def tell(played: Played, voice: Voice, *, again: str, is_short: bool) -> None:
    """The story, what it cost, and what was expected; of a case among many that held, one line."""
    scenario = played.scenario
    if is_short:
        voice.line(f"ok      {scenario.name}: {len(played.checks)} expectations, seed {scenario.seed}", Tone.GOOD)
        return
    voice.title(f"{scenario.name}, seed {scenario.seed}")
    voice.line(scenario.stands_for, Tone.MUTED)
    voice.line()
    for line in played.story.lines:
        say(voice, line)
    sum_up(played, voice, again=again, held=HELD)


def say(voice: Voice, line: Line) -> None:
    """One line of the story, in words."""
    subject, _, rest = line.text.partition(" ")
    if subject in LEFT_OUT:
        return
    who, tone = WHO.get(subject, ("daemon", Tone.PLAIN))
    text = rest if who in (subject, "lab", "notice") and subject != "applied" else line.text
    is_told = who == "lab" or line.more in ("", "seen")
    more = () if is_told else (textwrap.shorten(line.more, MORE_MAX, placeholder=" ..."),)
    voice.say(who, text, *more, at_s=line.at_s, tone=tone)


def sum_up(played: Played, voice: Voice, *, again: str, held: str) -> None:
    """What it cost, what was expected; at last what `held` says, or the line that plays it `again`."""
    scenario = played.scenario
    voice.title("What it cost, by the lab's own counts")
    for name, spent in played.counts.spent().items():
        voice.line(cost(name, spent, getattr(scenario.budget, name)))
    voice.title("What was expected")
    for what, wrong in findings(played):
        voice.line(f"  FAILED  {wrong}" if wrong else f"  ok      {what}", Tone.BAD if wrong else Tone.GOOD)
    voice.line()
    if played.has_held:
        voice.line(f"{held}; seed {scenario.seed}", Tone.GOOD)
    else:
        voice.line(f"again: {again}", Tone.BAD)


def cost(name: str, spent: float, most: float) -> str:
    """One of the four true counts beside its budget."""
    unit = UNITS.get(name, " s")
    words = name.removesuffix("_s").replace("_", " ")
    return f"  {words:<26}{spent:>8.1f}{unit:<2}  of at most {most:g}{unit}"


def findings(played: Played) -> Sequence[tuple[str, str]]:
    """Everything that was asked for, and how it was otherwise; the invariants last."""
    return (
        *(("", wrong) for wrong in played.refused),
        *((check.what, check.wrong) for check in played.checks),
        *(("", broken) for broken in played.broken),
    )


# -------------------------------------------------------------------------------------------------------- for programs


def as_json(played: Played) -> Mapping[str, object]:
    """All that is known of one play."""
    scenario = played.scenario
    return {
        "simulator": True,
        "scenario": scenario.title,
        "case": scenario.case,
        "seed": scenario.seed,
        "held": played.has_held,
        "counts": {
            name: {"spent": spent, "budget": getattr(scenario.budget, name)}
            for name, spent in played.counts.spent().items()
        },
        "expectations": [
            {
                "what": check.what,
                "held": not check.wrong,
                "why": check.wrong,
                "key": check.key,
                "wanted": check.wanted,
                "seen": check.seen,
            }
            for check in played.checks
        ],
        "refused": list(played.refused),
        "invariants_broken": list(played.broken),
        "story": [{"at_s": round(line.at_s, 3), "text": line.text, "more": line.more} for line in played.story.lines],
    }
