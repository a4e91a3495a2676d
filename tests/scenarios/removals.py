"""Every guard of a failover, how to take it away, and the scenarios that must fail without it.

A guard is taken away by changing the source of the function that holds it, for the time of one test. The text that is
cut must be there: whoever rewrites a guard finds its line here, and says anew what removing it means.
"""

from __future__ import annotations
import __future__

import importlib
import inspect
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import Any, cast

from watchdogd.core import gates
from watchdogd.core.gates import Question

FLAGS = __future__.annotations.compiler_flag


@dataclass(frozen=True, slots=True)
class Edit:
    """Inside the function `place` (`runbooks.failover:promote_guard`) the text `cut` becomes `by`."""

    place: str
    cut: str
    by: str = ""

    def function(self) -> FunctionType:
        """The function itself; of a property its getter."""
        module, _, name = self.place.partition(":")
        found: Any = importlib.import_module(f"watchdogd.{module}")
        for part in name.split("."):
            found = getattr(found, part)
        return cast(FunctionType, found.fget if isinstance(found, property) else found)

    def code(self) -> CodeType:
        """The function without its guard. Raises: LookupError when the text is not there any more."""
        function = self.function()
        source = textwrap.dedent(inspect.getsource(function)).removeprefix("@property\n")
        if self.cut not in source:
            raise LookupError(f"{self.place} has no {self.cut!r} any more: say anew what to remove")
        namespace: dict[str, Any] = {}
        changed = compile(
            source.replace(self.cut, self.by), self.place, "exec", flags=__future__.annotations.compiler_flag
        )
        exec(changed, function.__globals__, namespace)  # noqa: S102  our own source, changed on purpose
        return cast(FunctionType, namespace[function.__name__]).__code__


@dataclass(frozen=True, slots=True)
class Gate:
    """The gate of this name is always open."""

    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """What keeps something from happening, and who would notice if it were gone."""

    name: str
    removal: Sequence[Edit | Gate]
    caught_by: Sequence[str]


@contextmanager
def removed(guard: Guard) -> Iterator[None]:
    """The guard is gone inside the block."""
    with ExitStack() as stack:
        for removal in guard.removal:
            stack.enter_context(_open(removal.name) if isinstance(removal, Gate) else _edited(removal))
        yield


@contextmanager
def _open(name: str) -> Iterator[None]:
    table = cast(dict[str, Any], gates.GATES)
    kept = table[name]
    table[name] = (_nothing_against_it, kept[1])
    try:
        yield
    finally:
        table[name] = kept


def _nothing_against_it(question: Question) -> str:
    return ""


@contextmanager
def _edited(edit: Edit) -> Iterator[None]:
    function = edit.function()
    kept = function.__code__
    function.__code__ = edit.code()
    try:
        yield
    finally:
        function.__code__ = kept


def _gate(name: str, *caught_by: str) -> Guard:
    return Guard(name=f"gate {name}", removal=(Gate(name),), caught_by=caught_by)


def _guard(name: str, *removal: Edit, caught_by: Sequence[str]) -> Guard:
    return Guard(name=name, removal=removal, caught_by=caught_by)


CLOSED = tuple(
    _gate(name, f"one-gate-closed[{name}]")
    for name in (
        "level", "paused", "cold-start", "anchors", "secondary-blind", "secondary-not-able", "sync-state", "loss",
        "licence", "no-credential", "proof", "fence",
    )
)  # fmt: skip
ANSWERING = (
    _gate("tilt", "every-gate-answers[asleep]"),
    _gate("stale", "every-gate-answers[asleep]"),
    _gate("self-check", "every-gate-answers[strangers]"),
    _gate("blind", "every-gate-answers[strangers]"),
    _gate("window", "every-gate-answers[failed-over]"),
    _gate("secondary-sees", "every-gate-answers[failed-over]"),
    _gate("ack", "every-gate-answers[failed-over]"),
    _gate("slot", "every-gate-answers[failed-over]"),
    _gate("state", "every-gate-answers[a-full-disk]"),
    _gate("ids", "every-gate-answers[asleep]"),
    _gate("unseen-primary", "every-gate-answers[asleep]"),
    _guard(
        "gate node:ADDRESS",
        Edit("core.gates:_nodes", "is_open=not (is_unsure", "is_open=True or not (is_unsure"),
        caught_by=["every-gate-answers[a-node-cannot-be-read]"],
    ),
    _guard(
        "gate witness:NAME",
        Edit("core.gates:_witnesses", "is_open=not witness.sees", "is_open=True"),
        caught_by=["every-gate-answers[somebody-sees-it]"],
    ),
)
VETOES = (
    _guard(
        "veto: a node of the elected cluster reads ACTIVE",
        Edit("core.model:NodeSeen.is_life", "(Reading.ACTIVE, Reading.FOLLOWS)", "(Reading.FOLLOWS,)"),
        Edit("runbooks.evidence:veto_against", "if source.is_active_primary:", "if False:"),
        caught_by=["only-the-active-node-answers[fenced]", "old-primary-back-under-its-fence[promoted]"],
    ),
    _guard(
        "veto: a node of the elected cluster reads FOLLOWS",
        Edit("core.model:NodeSeen.is_life", "(Reading.ACTIVE, Reading.FOLLOWS)", "(Reading.ACTIVE,)"),
        caught_by=["only-followers-of-the-old-primary-answer[fenced]"],
    ),
    _guard(
        "veto: the secondary saw something move",
        Edit("core.link:LinkWatch.verdict", "return Hears.SEES", "return Hears.HEARS_NOTHING"),
        caught_by=["bastions-path-lost"],
    ),
    _guard(
        "veto: a witness sees the elected cluster",
        Edit("daemon.sightings:Sightings.witnesses", "return tuple(", "return () and tuple("),
        caught_by=["somebody-else-sees-it"],
    ),
    _guard(
        "veto: an id other than pinned",
        Edit("core.readings:_differs", "shown != pinned", "False"),
        caught_by=["another-cluster-answers-at-the-secondary", "one-node-chronically-strange[another-cluster]"],
    ),
    _guard(
        "veto: the secondary owes a debt",
        Edit("core.signature:lacks_of", "if debt is not None and debt.debtor == partner.cluster:", "if False:"),
        Edit("core.signature:signature_of", "owes = debt is not None and", "owes = False and"),
        caught_by=["debtor-back-alone"],
    ),
    _guard(
        "veto: somebody else made the secondary primary",
        Edit(
            "runbooks.evidence:ensure_nothing_foreign",
            "facts.view(run.target).is_active_primary and",
            "False and",
        ),
        caught_by=["promoted-by-hand[fenced]"],
    ),
    _guard(
        "veto: it stops a run that has not sent yet",
        Edit("runbooks.evidence:veto_before_promote", "return veto_against(ctx, look.facts)", 'return ""'),
        Edit("runbooks.evidence:ensure_proof", "if veto := veto_against(ctx, facts):", "if False:"),
        Edit("runbooks.failover:fence_guard", "if veto := veto_against(ctx, look.facts):", "if veto := '':"),
        caught_by=["old-primary-back-before-promote[fenced]"],
    ),
    _guard(
        "veto: somebody else changed a role or an id",
        Edit("runbooks.evidence:ensure_nothing_foreign", "    run = ctx.run\n", "    run = ctx.run\n    return\n"),
        caught_by=["another-cluster-answers-at-the-secondary", "promoted-by-hand[fenced]"],
    ),
)
LOOKS = (
    _guard(
        "last look: a new one right before promote",
        Edit("runbooks.failover:promote_guard", "look = await ctx.look()", "look = ctx.memo.look or await ctx.look()"),
        caught_by=["old-primary-back-before-promote[fenced]", "only-followers-of-the-old-primary-answer[fenced]"],
    ),
    _guard(
        "last look: not sent once it has aged",
        Edit("runbooks.context:RunContext.last_look", "if not self._is_young(look):", "if False:"),
        caught_by=["veto-between-intent-and-first-byte", "slow-disk-before-promote"],
    ),
    _guard(
        "last look: promote needs a source that is seen to be down",
        Edit("runbooks.evidence:ensure_proof", "if facts.view(ctx.run.source).reach is not Reach.DOWN:", "if False:"),
        caught_by=["old-primary-back-sealed-or-leaderless[before-the-fence,seal]"],
    ),
    _guard(
        "last look: a new one right before the name is written",
        Edit(
            "runbooks.cutover_dns:publish_guard",
            "look = await ctx.eyes.look(only=ctx.run.target)",
            "look = ctx.memo.look or await ctx.eyes.look(only=ctx.run.target)",
        ),
        caught_by=["new-primary-stumbles-before-the-name-moves"],
    ),
    _guard(
        "last look: every gate of section 4 is asked once more",
        Edit("runbooks.evidence:ensure_proof", "if missing := still_missing(ctx, facts):", "if missing := ():"),
        caught_by=["cut-off-while-the-fence-closes"],
    ),
    _guard(
        "section 4 in full at every attempt",
        Edit("runbooks.evidence:ensure_proof", "    ensure_nothing_foreign(ctx, facts)\n", "    return\n"),
        caught_by=["old-primary-back-before-promote[fenced]", "another-cluster-answers-at-the-secondary"],
    ),
)
FENCES = (
    _guard(
        "fence: it is closed before promote",
        Edit("runbooks.failover:source_is_fenced", "    return Done.NO", "    return Done.YES"),
        caught_by=["old-primary-back-under-its-fence[promoted]"],
    ),
    _guard(
        "fence: one that does not confirm blocks",
        Edit("runbooks.fencing:goes_on_without", "return ctx", "return True or ctx"),
        caught_by=["fence-does-not-confirm[exit 1]"],
    ),
    _guard(
        "fence: it is released when a run gives up",
        Edit("runbooks.failover:_unfence", "while source in ctx.ledger.fences:", "while False:"),
        caught_by=["old-primary-back-before-promote[fenced]", "veto-between-intent-and-first-byte"],
    ),
    _guard(
        "fence: it stays when a run gives up beside another primary",
        Edit(
            "runbooks.failover:_unfence",
            "if (await ctx.young_look()).facts.view(target).is_active_primary:",
            "if False:",
        ),
        caught_by=["promoted-by-hand-then-given-up"],
    ),
    _guard(
        "fence: it stays on a second primary, whatever became of the debt",
        Edit("runbooks.settle_debt:fence_off_guard", "not _is_harmless(ctx, look.facts)", "False"),
        caught_by=["debtor-promoted-by-hand-before-its-fence-opens"],
    ),
    _guard(
        "fence: it is released once the debt is settled",
        Edit("runbooks.settle_debt:fence_is_off", "Done.NO if", "Done.YES if"),
        caught_by=["old-primary-back-under-its-fence[all-done]"],
    ),
    _guard(
        "fence: it stays while the debt is open",
        Edit("runbooks.settle_debt:fence_off_guard", "_debt(ctx) is not None", "False"),
        Edit("runbooks.settle_debt:debtor_is_secondary", "    look = await ctx.look()", "    return Done.YES"),
        caught_by=["old-primary-back-under-its-fence[all-done]"],
    ),
    _guard(
        "fence: one that was left comes off a cluster only that says secondary itself",
        Edit("core.decision:_left_fence", "secondary - {ledger.elected}", "set(facts.views) - {ledger.elected}"),
        Edit("core.ledger:Ledger.is_fence_settled", " and debt.state is DebtState.CLOSED", ""),
        caught_by=["debt-closed-by-hand[forgiven]"],
    ),
)
ACTS = (
    _guard(
        "settle-debt: both are seen as primaries",
        Edit("runbooks.settle_debt:premise_gone", "if not look.facts.view(run.target).is_active_primary:", "if False:"),
        Edit("runbooks.settle_debt:demote_guard", "for cluster in both)", "for cluster in both[:1])"),
        caught_by=["elected-dies-as-the-debt-is-settled"],
    ),
    _guard(
        "name: only ever to an active primary",
        Edit(
            "runbooks.cutover_dns:publish_guard",
            "if not look.facts.view(ctx.run.target).is_active_primary:",
            "if False:",
        ),
        caught_by=["new-primary-stumbles-before-the-name-moves"],
    ),
    _guard(
        "name: a third value is never overwritten",
        Edit("runbooks.cutover_dns:publish_guard", "if values != [bare_name(targets[ctx.run.source])]:", "if False:"),
        caught_by=["name-moved-by-hand[to-a-third-place-under-our-change]"],
    ),
    _guard(
        "foreign: a role that nobody of ours changed holds all automation",
        Edit("core.observed:foreign", "    ledger = facts.ledger\n", "    ledger = facts.ledger\n    return ''\n"),
        caught_by=["promoted-by-hand[while-suspect]"],
    ),
    _guard(
        "intent: durable before the effect",
        Edit(
            "runbooks.performing:Performance._send",
            "await ctx.write(StepIntended(",
            "await ctx.write(*entries); (StepIntended(",
        ),
        caught_by=["region-lost"],
    ),
    _guard(
        "intent: epoch and debt in the promote's transaction",
        Edit("runbooks.failover:_promote_intent", "    run = ctx.run\n", "    return ()\n    run = ctx.run\n"),
        caught_by=["region-lost"],
    ),
    _guard(
        "intent: epoch and debt are void when nothing was sent",
        Edit(
            "runbooks.failover:_void_entries",
            "    epoch = ctx.run.epoch\n",
            "    return ()\n    epoch = ctx.run.epoch\n",
        ),
        caught_by=["veto-between-intent-and-first-byte"],
    ),
    _guard(
        "outcome unknown: no second send before a NO has settled",
        Edit("runbooks.performing:Performance._may_send", "return self.unsure is None or", "return True or"),
        caught_by=["promotes-reply-is-lost[lands-late]"],
    ),
    _guard(
        "credential: a denied one is not tried again",
        Edit("runbooks.credentials:_left_to_try", "if (cluster, name) not in ctx.memo.denied"),
        caught_by=["token-refused[first-spoilt-in-the-middle]"],
    ),
)
HOLDS = (
    _guard(
        "stop: a pause stops a run at its safe point",
        Edit("daemon.running:Running._why_stop", 'return f"paused', 'return "" and f"paused'),
        caught_by=["paused-in-every-phase[slot-taken]", "paused-in-every-phase[name-on-its-way]"],
    ),
    _guard(
        "hold: an outage that stands when a pause ends waits",
        Edit("core.observed:resuming", "if facts.has_outage", "if False"),
        caught_by=["paused-in-every-phase[suspect]"],
    ),
    _guard(
        "hold: a run that is taken up again waits as an outage does",
        Edit("runbooks.failover:evidence_holds", "_is_held(ctx) or ", ""),
        caught_by=["paused-in-every-phase[slot-taken]"],
    ),
    _guard(
        "hold: an outage that nobody looked at for long waits",
        Edit("daemon.deciding:Deciding.begin", "(cause and not ledger.hold):", "False:"),
        caught_by=["daemon-gone-for-long[suspect]"],
    ),
    _guard(
        "hold: what a human aborted does not begin anew",
        Edit("daemon.acts:run_abort", "if run.runbook is Runbook.FAILOVER", "if False"),
        caught_by=["fence-does-not-confirm[exit 1 but acted]"],
    ),
    _guard(
        "parked: a run that nobody touched for long",
        Edit("daemon.running:Running._is_stale", "    age_s =", "    return False\n    age_s ="),
        caught_by=["daemon-gone-for-long[before-its-point-of-no-return]"],
    ),
    _guard(
        "tilt: clocks that jump stop all deciding",
        Edit("daemon.tilt:TiltWatch._cause", "    passed_s = ", "    return ''\n    passed_s = "),
        caught_by=["clock-jumps[suspect,5.0]", "every-gate-answers[asleep]"],
    ),
)
GUARDS: tuple[Guard, ...] = (*CLOSED, *ANSWERING, *VETOES, *LOOKS, *FENCES, *ACTS, *HOLDS)
