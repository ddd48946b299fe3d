"""What was found about layers, as text and as a picture."""

from __future__ import annotations

from math import ceil

from evomerge.cli.tables import Shown, table
from evomerge.inspection.grid import Grid
from evomerge.inspection.lesions import Lesions
from evomerge.inspection.parts import Part
from evomerge.inspection.seams import Joined, Place, Seam
from evomerge.inspection.similarity import Similarity
from evomerge.report.words import counted

# As wide as a terminal; a picture has room for all.
MOST_COLUMNS = 16

PARTS: dict[Part, str] = {"whole": "layer", "attention": "attention", "mlp": "mlp"}
EMBEDDINGS = "embeddings"


def of_lesions(found: Lesions) -> Shown:
    """A row for each layer; in the picture, a column."""
    better = "higher" if found.higher_is_better else "lower"
    items = counted(found.items, "item")
    title = f"{found.task}: {found.metric} {found.intact:.4f}, {better} is better, {items}"
    values = [[each.get(part) for part in PARTS] for each in found.without]
    rows = [
        [str(layer), *("" if value is None else f"{value:.4f}" for value in row)]
        for layer, row in enumerate(values)
    ]
    headings = ("without", *PARTS.values())
    text = f"{title}\n{table(headings, rows, numbers=headings)}"
    names = [f"without {name}" for name in PARTS.values()]
    columns = [str(layer) for layer in range(len(values))]
    # The whole model's score is the colour to compare with.
    known = [value for row in values for value in row if value is not None] + [found.intact]
    across = list(zip(*values, strict=True))
    return Shown(text, Grid(title, names, columns, across, min(known), max(known)))


def of_similarity(found: Similarity) -> Shown:
    """A row for each stream of the one model, a column for each of the other."""
    alone = found.rows == found.columns
    whose = found.rows if alone else f"{found.rows} (rows) and {found.columns} (columns)"
    title = (
        f"Cosines of the streams of {whose}, behind embeddings and layers, {found.tokens} tokens"
    )
    rows, columns = (_behind(len(found.cosines)), _behind(len(found.cosines[0])))
    across = range(0, len(columns), ceil(len(columns) / MOST_COLUMNS))
    down = range(0, len(rows), across.step)
    cells = [[rows[y], *(f"{found.cosines[y][x]:.3f}" for x in across)] for y in down]
    headings = ("behind", *(columns[x] for x in across))
    text = f"{title}\n{table(headings, cells, numbers=headings[1:])}"
    if across.step > 1:
        text += f"One stream in {across.step} is shown; --form json and --picture have them all.\n"
    return Shown(text, Grid(title, rows, columns, found.cosines))


def of_seams(name: str, found: Joined) -> Shown:
    """A row for each seam."""
    counts = ((found.hops, "hop"), (len(found.seams), "seam"), (found.tokens, "token"))
    title = f"{name}: {', '.join(counted(*each) for each in counts)}"
    if not found.seams:
        title += ": each hop follows the layer before it in its own model"
        return Shown(f"{title}\n", Grid(title, (), (), ()))
    rows = [
        [str(seam.hop), _reader(seam), _writer(seam.writer), f"{seam.cosine:.4f}"]
        for seam in found.seams
    ]
    text = (
        f"{title}\n{table(('hop', 'reads', 'behind', 'cosine'), rows, numbers=('hop', 'cosine'))}"
    )
    labels = [f"hop {hop}: {reader} behind {writer}" for hop, reader, writer, _ in rows]
    values = [[seam.cosine] for seam in found.seams]
    return Shown(text, Grid(title, labels, ["cosine"], values, low=0.0, high=1.0))


def _behind(streams: int) -> list[str]:
    return [EMBEDDINGS, *(str(layer) for layer in range(streams - 1))]


def _reader(seam: Seam) -> str:
    place = seam.reader
    return f"{place.model} " + ("head" if place.layer is None else f"layer {place.layer}")


def _writer(place: Place) -> str:
    return f"{place.model} " + (EMBEDDINGS if place.layer is None else f"layer {place.layer}")
