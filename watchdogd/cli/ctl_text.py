"""The daemon's answers, for people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from watchdogd.core.commands import PROGRAM, Command, line
from watchdogd.core.explain import Json, Shape
from watchdogd.core.gates import opens_by_time

WIDE, WHAT_COLUMNS = 20, 88


def error_lines(body: Shape) -> list[str]:
    """Why it was not done, with every gate."""
    error = _table(body.get("error"))
    lines = [str(error.get("message", "refused"))]
    for gate in _tables(error.get("gates")):
        until = f", expected to open in {_number(gate.get('until_s')):.0f} s" if gate.get("until_s") is not None else ""
        how = "can be waived" if gate.get("waivable") else "cannot be waived"
        lines.append(f"{_gate(gate)} ({how}{until})")
    return lines


def _gate(gate: Shape) -> str:
    return f"  {gate['gate']!s:<{WIDE}}  {gate['why']}"


def done(body: Shape) -> list[str]:
    """A verb that is over when it answers."""
    said = {key: value for key, value in body.items() if value != "" and not (key == "until_utc_s" and value is None)}
    return ["; ".join(_said(key, value) for key, value in said.items())]


def _said(key: str, value: Json) -> str:
    if key.endswith("_utc_s") and value is not None:
        return f"{key.removesuffix('_utc_s')}: {_when(value)}"
    return f"{key}: {'nothing' if value is None else value}"


def started(body: Shape) -> list[str]:
    """A verb that a run follows."""
    if "run_id" not in body:
        return done(body)
    return [f"{body['run_id']}", f"follow it with: {line(Command.RUN_SHOW, str(body['run_id']))}"]


def approved(body: Shape) -> list[str]:
    """A plan that was begun, or that waits for its window."""
    if "approved" not in body:
        return started(body)
    gates = ", ".join(map(str, body["waits_for"])) if isinstance(body["waits_for"], list) else ""
    until = _when(body["until_utc_s"])
    return [
        f"approved: it goes by itself once {gates} is open, until {until}; `{PROGRAM} {Command.PAUSE}` takes it back"
    ]


def status_lines(body: Shape) -> list[str]:
    """Every pair in a few lines."""
    return [line for pair in _tables(body.get("pairs")) for line in (*_pair_lines(pair), "")][:-1]


def _pair_lines(pair: Shape) -> Iterator[str]:
    yield f"{pair['pair']}: {str(pair['phase']).upper()}  {pair['situation']} {pair['why']}"
    if "elected" not in pair:
        return
    clusters = ", ".join(f"{c['cluster']} {c['side']}" for c in _tables(pair.get("clusters")))
    yield f"  elected    {pair['elected'] or 'nobody'}, epoch {pair['epoch']}   ({clusters})"
    name = _table(pair.get("name"))
    yield f"  name       {name.get('situation')}, published: {name.get('serving') or 'unknown'}"
    ready = "ready" if pair["failover_ready"] else f"NOT ready, see `{PROGRAM} {Command.EXPLAIN}`"
    yield f"  failover   {pair['level']}, {ready}"
    yield f"  action     {pair['action']}"
    run = _table(pair.get("run"))
    if run:
        yield f"  run        {run['runbook']} {run['run_id']} is {run['state']}"
        if pair.get("run_waits"):
            yield f"  WAITS      at {_flat(pair['run_waits'])}"
    if approval := _table(pair.get("approval")):
        yield f"  APPROVED   {_approval(approval)}"
    for key, label in (("paused", "PAUSED"), ("hold", "HELD"), ("foreign", "FOREIGN"), ("debtor", "debt of")):
        if pair.get(key):
            until = pair.get("paused_until_utc_s") if key == "paused" else None
            yield f"  {label:<11}{pair[key]}" + (f", until {_when(until)}" if until is not None else "")
    yield from _fence_lines(pair)
    for notice in _tables(pair.get("notices")):
        yield f"  ! {notice['severity']}: {notice['summary']}"
        if notice.get("command"):
            yield f"      {notice['command']}"


def _approval(approval: Shape) -> str:
    """What was approved ahead, by whom and until when, and for what it still waits."""
    gates = ", ".join(str(gate["gate"]) for gate in _tables(approval.get("blocked_by")))
    what = f"{approval['action']} to {approval['target']} (row {approval['situation']}, plan {approval['plan_hash']})"
    waived = approval.get("waivers")
    past = f", past {', '.join(map(str, waived))}" if isinstance(waived, list) and waived else ""
    waits = gates or "a row that asks for it"
    return f"{what}{past} by uid {approval['asked_by_uid']}, until {_when(approval['until_utc_s'])}; waits for {waits}"


def _fence_lines(pair: Shape) -> Iterator[str]:
    fences, unsure = (one if isinstance(one := pair.get(key), list) else [] for key in ("fences", "fences_unsure"))
    if held := [str(cluster) for cluster in fences if cluster not in unsure]:
        yield f"  fence on   {', '.join(held)}"
    if unsure:
        yield f"  fence      of {', '.join(map(str, unsure))}: not confirmed, and may be on"


def explain_lines(body: Shape) -> list[str]:
    """Why it acts, or why not."""
    facts = _table(body["facts"])
    lines = [
        f"{body['pair']}: {str(body['phase']).upper()}  {body['situation']} {body['why']}"
        f"  (for {_age(body['since_s'])})",
        f"  {_table(body['decision'])['sentence']}",
        "",
    ]
    for cluster in _tables(facts["clusters"]):
        version = f", Vault {cluster['version']}" if cluster.get("version") else ""
        corrupted = ", merkle tree CORRUPTED" if cluster.get("corrupted_merkle_tree") else ""
        side = f"{cluster['side']}, mode {cluster['mode']}{version}{corrupted}"
        lines.append(f"{cluster['cluster']} ({cluster['part']}): {side}")
        for node in _tables(cluster["nodes"]):
            lines.append(f"  {node['node']!s:<34}{node['reading']!s:<12}{_age(node['age_s']):>6}  {node['why']}")
    lines += ["", "evidence"]
    said = [one for one in _tables(body["evidence"]) if not str(one["source"]).startswith("our probe")]
    lines += [f"  {_of_evidence(one)}" for one in said]
    lines += [f"  {window['why']}" for window in _tables(facts["windows"])]
    closed = [gate for gate in _tables(body["gates"]) if not gate["open"]]
    lines += ["", "gates that are closed" if closed else "every gate is open"]
    lines += [_gate(gate) for gate in closed]
    would = body["would_act_when"]
    if isinstance(would, list) and would:
        lines += ["", "would act when", *(f"  {one}" for one in would)]
    if approval := _table(body.get("approval")):
        take_back = line(Command.PAUSE, pair=str(body["pair"]))
        lines += ["", f"APPROVED: {_approval(approval)}", f"  taken back by: {take_back}"]
    if body["command"]:
        lines += ["", f"the command that would act: {body['command']}"]
    return lines


def _of_evidence(one: Shape) -> str:
    age = f" ({_age(one['age_s'])} ago)" if one.get("age_s") is not None else ""
    return f"{one['source']}: {one['seen']}{age}"


def last_known_lines(body: Shape) -> list[str]:
    """What was written down last: first of all that nobody looks now."""
    lines = [f"NOT LIVE: nobody watches these pairs through this socket; from {body['state_dir']}:"]
    for pair in _tables(body["pairs"]):
        lines.append(f"{pair['pair']}: last looked at {_age(pair['age_s'])} ago")
        lines.append(f"  elected    {pair['elected'] or 'nobody'}, epoch {pair['epoch']}")
        for key, label in (
            ("run", "run"), ("promote", "promote"), ("paused", "PAUSED"), ("hold", "HELD"), ("foreign", "FOREIGN"),
            ("debtor", "debt of"),
        ):  # fmt: skip
            if pair[key]:
                lines.append(f"  {label:<11}{pair[key]}")
        lines += _fence_lines(pair)
    return lines


def plan_lines(body: Shape) -> list[str]:
    """What a run would do, and what keeps it from starting."""
    steps, waivers = body["steps"], body["waivers"]
    title = f"{body['action']} {body['source']} -> {body['target']}, epoch {body['epoch']}, row {body['situation']}"
    lines = [title]
    lines += [f"  {n}. {step}" for n, step in enumerate(steps if isinstance(steps, list) else [], start=1)]
    lines += [f"  waived: {', '.join(map(str, waivers))}"] if isinstance(waivers, list) and waivers else []
    lines.append(f"  estimated loss: {_loss(body['estimated_loss_s'], body.get('estimated_loss_age_s'))}")
    blocked = _tables(body["blocked_by"])
    lines += ["blocked by" if blocked else "nothing blocks it"]
    lines += [_gate(gate) for gate in blocked]
    if never := body.get("never"):
        return [*lines, f"it would be refused, whatever is waived: {never}"]
    if held := [gate for gate in blocked if not opens_by_time(str(gate["gate"]), gate.get("until_s"))]:
        return [*lines, f"it would be refused: {_way_out(held)}"]
    approval = line(Command.APPROVE, plan=str(body["plan_hash"]), pair=str(body["pair"]))
    return [*lines, f"this very run, or none: {approval}"]


def _way_out(held: list[Shape]) -> str:
    """What can be done about gates that only a waiver or the world opens."""
    waivable = ", ".join(str(gate["gate"]) for gate in held if gate.get("waivable"))
    never = ", ".join(str(gate["gate"]) for gate in held if not gate.get("waivable"))
    if not waivable:
        return f"plan it again once these are open, which have no waiver: {never}"
    waive = f"plan it again, or with --waive for what you judge yourself: {waivable}"
    return f"{waive}; these have no waiver: {never}" if never else waive


def _loss(loss_s: Json, age_s: Json) -> str:
    if loss_s is None:
        return "unknown"
    read = "" if age_s is None else f", read {_age(age_s)} ago; what was written later is not in it"
    return f"at least {_number(loss_s):.0f} s{read}"


def reload_lines(body: Shape) -> list[str]:
    """What a reload changed."""
    changed, rewired = body["changed"], body["rewired"]
    if not isinstance(changed, list) or not isinstance(rewired, list) or not changed:
        return ["nothing changed"]
    again = f"wired anew, their windows begin again: {', '.join(map(str, rewired))}" if rewired else "no pair changed"
    return [*map(str, changed), again]


def debt_lines(body: Shape) -> list[str]:
    """Open debts."""
    debts = _tables(_table(body["facts"])["debts"])
    if not debts:
        return ["no debt is open"]
    return [
        f"{d['debtor']} owes its demotion to {d['creditor']} since epoch {d['epoch']} ({d['state']})" for d in debts
    ]


def history_lines(body: Shape) -> list[str]:
    """Entries of the journal, oldest first."""
    return [_entry_line(one) for one in reversed(_tables(body["entries"]))]


def run_entry_lines(body: Shape) -> list[str]:
    """What was written down of a run. It comes first: there may be more of it than fits on a screen."""
    return [_entry_line(one) for one in _tables(body["entries"])]


def run_lines(body: Shape) -> list[str]:
    """One run: what it is, and its steps."""
    end = body["outcome"] or body["state"]
    lines = [f"{body['run_id']}: {body['runbook']} {body['source']} -> {body['target']}, {end}"]
    lines += [f"  {why}"] if (why := _flat(body["why"])) else []
    waivers = body.get("waivers")
    lines += [f"  waived: {', '.join(map(str, waivers))}"] if isinstance(waivers, list) and waivers else []
    for step in _tables(body["steps"]):
        lines.append(f"  {step['step']!s:<18}{_state(step, body)}{_sent(step['intents'])}")
    if body.get("waits"):
        lines.append(f"  WAITS at {_flat(body['waits'])}")
    parked = _table(body.get("parked"))
    if parked:
        is_parked = body["state"] == "parked"
        lines.append(f"  {'PARKED' if is_parked else 'was parked'} at {parked['step']}: {parked['why']}")
        lines += _last_answer(body, parked)
        acts = parked.get("acts")
        if isinstance(acts, list) and acts:
            lines += ["  what it would take now:", *(f"    {act}" for act in acts)]
    return lines


def _state(step: Shape, run: Shape) -> str:
    if step["done"]:
        return "done"
    if step["unsure"]:
        return "outcome not seen yet" if run["state"] == "open" else "outcome unknown"
    return "skipped" if step["skipped"] else "open"


def _sent(times: Json) -> str:
    return "" if not times else ", sent once" if times == 1 else f", sent {times} times"


def _last_answer(body: Shape, parked: Shape) -> list[str]:
    """Why the latest attempt of the step did not do it, where the run itself only says that it waits."""
    if parked.get("answered"):
        return []  # the run itself says it
    refused = (_table(one["entry"]) for one in _tables(body["entries"]) if one["kind"] == "step_not_applied")
    whys = [_flat(entry.get("why")) for entry in refused if entry.get("step") == parked["step"]]
    return [f"  its last attempt: {whys[-1]}"] if whys else []


def timing_lines(body: Shape) -> list[str]:
    """The worst case, by name and number."""
    lines = []
    for pair in _tables(body["pairs"]):
        for cluster in _tables(pair["clusters"]):
            lines.append(f"{pair['pair']}, {cluster['lost']} lost")
            lines += [_seconds_line(part["part"], part["seconds"]) for part in _tables(cluster["parts"])]
            lines.append(_seconds_line("worst case", cluster["worst_case_s"]))
        longer = _tables(pair.get("longer"))
        lines += [f"{pair['pair']}, detection at most where the secondary says less than that"] if longer else []
        lines += [f"{_seconds_line(case['case'], case['detection_s'])} from {case['since']}" for case in longer]
    return lines


def _seconds_line(what: Json, seconds: Json) -> str:
    return f"  {what!s:<{WHAT_COLUMNS}}{_number(seconds):>7.1f} s"


def _entry_line(one: Shape) -> str:
    at = datetime.fromtimestamp(_number(one["at_utc_s"]), UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    # Uid 0, epoch 0 and a loss of 0 s are said: they only compare like False.
    told = {k: v for k, v in _table(one["entry"]).items() if v is not None and v is not False and v not in ("", [])}
    said = " ".join(
        f"{k.removesuffix('_utc_s')}={_when(v)}" if k == "until_utc_s" else f"{k}={_flat(v)}" for k, v in told.items()
    )
    return f"{one['seq']!s:>6} {at}Z {one['pair']} {one['kind']} {said}".rstrip()


def _when(at_utc_s: Json) -> str:
    return datetime.fromtimestamp(_number(at_utc_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _flat(value: Json) -> str:
    return " | ".join(line for line in str(value).splitlines() if line.strip())


def _age(value: Json) -> str:
    seconds = _number(value)
    return (
        f"{seconds:.0f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
        if seconds < 7200
        else f"{seconds / 3600:.0f} h"
    )


def _number(value: Json) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _table(value: Json) -> Shape:
    return value if isinstance(value, dict) else {}


def _tables(value: Json) -> list[Shape]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
