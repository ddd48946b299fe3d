"""What verbs show of merged adapters, before and after."""

from __future__ import annotations

from collections.abc import Iterator

from evomerge.cli.quantities import in_words
from evomerge.cli.tables import table
from evomerge.inspection.adapters import AdaptersFacts
from evomerge.merging.adapters import Outcome

ADAPTER_COLUMNS = ("adapter", "matrices", "rank", "averaged apart")
MODULE_COLUMNS = ("module", "matrices", "rank", "changed by some only")
NUMBERS = ("matrices", "rank", "averaged apart", "changed by some only")


def of_adapters(facts: AdaptersFacts) -> Iterator[str]:
    """The recipe in blocks of text; nothing if it cannot be merged."""
    if facts.outcome is None:
        return
    adapters = [
        (each.name, str(each.matrices), _span(each.ranks), str(each.apart))
        for each in facts.adapters
    ]
    yield table(ADAPTER_COLUMNS, adapters, numbers=NUMBERS)
    modules = [
        (each.module, str(each.matrices), _span(each.ranks), str(each.partial))
        for each in facts.modules
    ]
    yield table(MODULE_COLUMNS, modules, numbers=NUMBERS)
    yield f"{described(facts.method, facts.output, facts.outcome)}\n"
    yield f"{facts.recipe} can be merged, on {facts.base}.\n"


def described(method: str, output: str, outcome: Outcome) -> str:
    """One line on the result, and one on each thing that its reader should know."""
    size = f", {in_words(outcome.nbytes)}" * bool(outcome.nbytes)
    lines = [
        f"{method}, {'an' if output == 'adapter' else 'a'} {output}, "
        f"{outcome.matrices} matrices, rank {outcome.rank}{size}"
    ]
    if any(outcome.steps):
        lines.append(
            f"{min(outcome.steps)} to {max(outcome.steps)} steps for a matrix; the relative pull "
            f"that is left is at most {max(outcome.residuals):.1e}"
        )
    if outcome.partial:
        lines.append(
            f"{outcome.partial} matrices are changed by some of the adapters only; for the others "
            "the update is zero"
        )
    if outcome.decomposed:
        lines.append(
            f"{outcome.decomposed} matrices have trained lengths (DoRA), which are averaged apart; "
            "an adapter without them counts with the lengths that its rows have"
        )
    if outcome.wholes:
        lines.append(
            f"{outcome.wholes} biases and tensors of whole modules are averaged as weights; "
            f"{outcome.partial_wholes} are trained by some of the adapters only, and are the "
            "base's in the others"
        )
    return "\n".join(lines)


def _span(ranks: tuple[int, int]) -> str:
    low, high = ranks
    return str(low) if low == high else f"{low} to {high}"
