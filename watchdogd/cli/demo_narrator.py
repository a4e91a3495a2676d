"""What was seen, in words: one line per event of the lab, of the daemon, of the resolver and of the clients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from watchdogd.cli.demo_voice import Tone, Voice
from watchdogd.cli.demo_watch import Event, Writer

MISSING_EVERY_S = 2.0
BAR = 24
TONES = {"page": Tone.WARN, "warn": Tone.MUTED, "info": Tone.MUTED}
WHO_IS_TOLD = {"page": "page", "warn": "notice", "info": "notice"}
WINDOWS = {"down": "{0} is not serving", "link": "{1} hears nothing"}

# What a step that was seen to be done means, and what was sent for one. {0}: the source of the run, {1}: its target.
DONE = {
    "recheck": "all the evidence once more, by a new round of probes",
    "credential": "a DR operation token, proven on {1}, that outlives the run",
    "demote_source": "no node of {0} answers as primary: nothing to demote",
    "fence": "the fence of {0} holds: closed, and looked at",
    "promote": "{1} is seen as primary",
    "target_primary": "{1} is active primary, ids as pinned",
    "demote": "{0} says secondary: the debt is closed",
    "fence_off": "the fence of {0} is off",
    "delete_token": "no generated token is left on {0}",
    "address_ready": "a primary answers at the address to be published",
    "publish": "every name server of the zone gives {1}",
}
SENT = {
    "promote": "sent; the epoch and the debt of {0} were on disk before its first byte",
    "demote": "sent to the active node of {0}",
    "publish": "one batch: delete what was read, create what is wanted",
}
QUIET = frozenset({("tell", "done"), ("report", "done"), ("fence", "sent"), ("fence_off", "sent")})  # told elsewhere


class Narrative:
    """Says what happens, once. `sides` is who is source and target: the cluster that dies, and its partner.

    `silence_s`: for how long the partner has to have heard nothing, by the timing of the demo.
    """

    def __init__(self, voice: Voice, sides: tuple[str, str], *, silence_s: float) -> None:
        self._voice = voice
        self._sides = sides
        self._silence_s = silence_s
        self._told_closed = ""
        self._told_missing_s = 0.0
        self._told_of = ("", "")
        self._told_step: tuple[str, ...] = ()

    def lab_did(self, event: Event) -> None:
        detail = event.detail
        match event.what:
            case "fenced":
                self._say(event, "fence", f"the client network of {detail['cluster']} is closed", tone=Tone.ACT)
            case "unfenced":
                self._say(event, "fence", f"the client network of {detail['cluster']} is open again", tone=Tone.ACT)
            case "sent":
                said = f"Vault says {detail['status']}" if detail["outcome"] == "answer" else detail["outcome"]
                self._say(event, "lab", f"{detail['target']} received {detail['path']}: {said}", tone=Tone.ACT)
            case "name_changed":
                self._say(
                    event,
                    "dns",
                    f"Route 53 took change {detail['change_id']}, PENDING",
                    f"comment: {detail['comment']}",
                )
            case "name_published":
                text = f"INSYNC: every name server of the zone publishes {detail['cluster']}"
                self._say(event, "dns", text, tone=Tone.GOOD)
            case _:
                return  # faults are told by the story, applied effects by what was sent

    def daemon_said(self, line: Event) -> None:
        detail = line.detail
        match line.what:
            case "decision" if detail["situation"] != "S-01":
                self._decision(line)
            case "run_opened":
                because = f"because of {detail['situation']}: {detail['run_id']}"
                self._say(line, "run", f"{detail['runbook']} opens, {because}", tone=Tone.ACT)
            case "step_finished":
                self._step(line)
            case "run_ended":
                why = f": {detail['why']}" if detail["why"] else ""
                self._say(line, "run", f"{detail['runbook']} ended, {detail['outcome']}{why}")
            case "notice_told":
                severity = detail["severity"]
                command = [f"to do: {detail['command']}"] if detail["command"] else []
                more = (*map(str, detail["details"]), *command)
                self._say(line, WHO_IS_TOLD[severity], detail["why"], *more, tone=TONES[severity])
            case _ if detail.get("level") in ("error", "critical"):
                self._say(line, "daemon", f"{line.what}: {detail.get('error', '')}", tone=Tone.BAD)

    def _decision(self, line: Event) -> None:
        detail = line.detail
        of, self._told_of = self._told_of, (detail["situation"], detail["action"])
        if of == self._told_of:
            return
        text = f"{detail['situation']} {detail['why']}"
        if detail["action"] == "nothing to do":
            self._say(line, "daemon", text)
        else:
            of_name = f"{detail['name_situation']}: " if detail["action"].startswith("cutover-dns") else ""
            self._say(line, "decision", text, f"-> {of_name}{detail['action']}", tone=Tone.TITLE)

    def _step(self, line: Event) -> None:
        detail = line.detail
        name, outcome = detail["step"], detail["outcome"]
        step = (detail["run_id"], name, outcome, detail["why"])
        if (name, outcome) in QUIET or step == self._told_step:
            return  # a step that is tried again and again is told once
        self._told_step = step
        words = {"done": DONE, "sent": SENT}.get(outcome, {}).get(name)
        text = words.format(*self._sides) if words else f"{outcome}: {detail['why']}".rstrip(": ")
        mark = "ok" if outcome == "done" else ".."
        took = f" ({detail['elapsed_s']:.1f} s)" if outcome == "done" and detail["elapsed_s"] >= 0.05 else ""
        tone = Tone.GOOD if outcome == "done" else Tone.PLAIN if words else Tone.WARN
        self._say(line, "run", f"{mark} {name.replace('_', ' ')}: {text}{took}", tone=tone)

    def name_answered(self, at_s: float, target: str) -> None:
        self._voice.say("resolver", f"answers clients: the service name is {target}", at_s=at_s, tone=Tone.GOOD)

    def writer_changed(self, at_s: float, writer: Writer, error: str) -> None:
        if writer.is_served:
            self._voice.say(writer.name, f"writes are acknowledged, by {writer.address}", at_s=at_s, tone=Tone.GOOD)
        else:
            self._voice.say(writer.name, f"writes fail: {error.rstrip(': ')}", at_s=at_s, tone=Tone.BAD)

    def explained(self, at_s: float, explained: Mapping[str, Any]) -> None:
        """While the pair is suspect: how far each window is, and what is missing."""
        if explained["phase"] != "suspect" or at_s - self._told_missing_s < MISSING_EVERY_S:
            return
        self._told_missing_s = at_s
        facts = explained["facts"]
        first, *rest = (self._window(window, facts["last_sign_of_life"]) for window in facts["windows"])
        closed = ", ".join(gate["gate"] for gate in explained["gates"] if not gate["open"])
        gates = [f"gates closed: {closed}"] if closed != self._told_closed else []
        self._told_closed = closed
        self._voice.say("missing", first, *rest, *gates, at_s=at_s)

    def _window(self, window: Mapping[str, Any], life: Mapping[str, Any] | None) -> str:
        what = WINDOWS.get(window["window"], window["window"]).format(*self._sides)
        progress, left = window["progress"], "full"
        if window["full_in_s"] is not None and not window["full"]:
            left = f"full in {window['full_in_s']:.1f} s"
        elif life is not None and not window["full"]:
            # Silence is counted from the last sign of life, once it is long enough to be one.
            progress = min(1.0, life["age_s"] / self._silence_s)
            left = f"heard {life['age_s']:.1f} s ago, of {self._silence_s:g} s"
        filled = int(progress * BAR)
        return f"{what:<19} [{'#' * filled}{'.' * (BAR - filled)}] {left}"

    def _say(self, event: Event, who: str, text: str, *more: str, tone: Tone = Tone.PLAIN) -> None:
        self._voice.say(who, text, *more, at_s=event.at_s, tone=tone)
