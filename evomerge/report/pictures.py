"""Pictures of a search: how it got on, what it found, where the good trials lie."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from evomerge.evidence.gain import describe_gain, gauge_of, worth
from evomerge.report.summary import Summary
from evomerge.study import Study
from evomerge.trial import SEARCH, Trial

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# More axes than this cannot be told apart: the most important dimensions are shown.
AXES = 8
HEIGHT = 420  # pixels
LABEL = 28  # characters of the name of an axis: its end says most
DIM, BRIGHT, WARM = "#b4c0cc", "#1f6feb", "#d9480f"


def pictures(study: Study, summary: Summary) -> Iterator[tuple[str, str]]:
    """Each picture that there is something to show in: its title, and its HTML."""
    feasible = [trial for trial in study.trials if study.goals.outcome(trial).feasible]
    searched = [trial for trial in feasible if trial.stage == SEARCH]
    if searched:
        yield "How the search got on", _html(_trace(summary, searched))
    if summary.goals.pareto and feasible:
        yield "The front", _html(_scatter(summary, feasible))
    pointed = [trial for trial in searched if trial.point]
    if len(pointed) > 1:
        yield "Where the good trials lie", _html(_coordinates(summary, pointed))


def script() -> str:
    """plotly.js itself."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def _html(figure: Figure) -> str:
    figure.update_layout(
        height=HEIGHT, margin={"l": 60, "r": 30, "t": 30, "b": 50}, template="plotly_white"
    )
    return str(figure.to_html(full_html=False, include_plotlyjs=False))


def _worths(summary: Summary, trials: Sequence[Trial]) -> list[float]:
    gauge = gauge_of(summary.goals, summary.baselines)
    return [worth(summary.goals, gauge, trial.scores) for trial in trials]


def _trace(summary: Summary, searched: Sequence[Trial]) -> Figure:
    """Every trial, the best so far, and the best baseline."""
    from plotly.graph_objects import Figure, Scatter

    worths = _worths(summary, searched)
    best = [max(worths[: count + 1]) for count in range(len(worths))]
    numbers = [trial.number for trial in searched]
    figure = Figure(
        [
            Scatter(x=numbers, y=worths, mode="markers", name="trial", marker={"color": DIM}),
            Scatter(x=numbers, y=best, name="best so far", line={"color": BRIGHT, "shape": "hv"}),
        ]
    )
    able = [t for t in summary.baselines if summary.goals.outcome(t).feasible]
    if able:
        height = max(_worths(summary, able))
        figure.add_hline(
            y=height, line_dash="dash", line_color=WARM, annotation_text="best baseline"
        )
    figure.update_layout(xaxis_title="trial", yaxis_title=describe_gain(summary.goals))
    return figure


def _scatter(summary: Summary, feasible: Sequence[Trial]) -> Figure:
    """Trials by their first two objectives; those of the front stand out."""
    from plotly.graph_objects import Figure, Scatter

    first, second = list(summary.goals.weights)[:2]
    front = {trial.number for trial in summary.front}
    baselines = {trial.number for trial in summary.baselines}
    groups = {
        "trial": (DIM, [t for t in feasible if t.number not in front | baselines]),
        "baseline": (WARM, [t for t in feasible if t.number in baselines - front]),
        "front": (BRIGHT, list(summary.front)),
    }
    figure = Figure()
    for name, (colour, trials) in groups.items():
        figure.add_trace(
            Scatter(
                x=[trial.scores[first].value for trial in trials],
                y=[trial.scores[second].value for trial in trials],
                text=[f"trial {trial.number} {trial.label}" for trial in trials],
                mode="markers",
                name=name,
                marker={"color": colour, "size": 9},
            )
        )
    figure.update_layout(xaxis_title=first, yaxis_title=second)
    return figure


# What a parameter's dimension begins with: the model counts, the places do not.
OF_MODEL = re.compile(r"^.*(?:models|sources)\[([^\]]+)\]\.parameters\.")
# Degrees, and pixels for what is slanted by them.
SLANT, ROOM = -20, 110


def _coordinates(summary: Summary, trials: Sequence[Trial]) -> Figure:
    """A line for each trial over the dimensions, coloured by what it is worth."""
    from plotly.graph_objects import Figure, Parcoords

    names = list(summary.importances or trials[0].point or {})[:AXES]
    worths = _worths(summary, trials)
    axes = [_axis(name, trials) for name in names]
    axes.append({"label": "worth", "values": worths})
    line = {"color": worths, "colorscale": "Viridis"}
    # Slanted, and below: the names of neighbouring axes are longer than the space between them.
    drawn = Parcoords(line=line, dimensions=axes, labelangle=SLANT, labelside="bottom")
    figure = Figure(drawn)
    figure.update_layout(margin={"b": ROOM, "l": ROOM, "r": ROOM})
    return figure


def _axis(name: str, trials: Sequence[Trial]) -> dict[str, Any]:
    values = [(trial.point or {})[name] for trial in trials]
    short = OF_MODEL.sub(r"\1 ", name)
    label = short if len(short) <= LABEL else f"…{short[-LABEL:]}"
    if not any(isinstance(value, str) for value in values):
        return {"label": label, "values": values}
    options = sorted(map(str, set(values)))
    places = [options.index(str(value)) for value in values]
    ticks = list(range(len(options)))
    return {"label": label, "values": places, "tickvals": ticks, "ticktext": options}
