"""``evomerge space``: what a config searches, dimension by dimension."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from evomerge.cli.tables import Form, table
from evomerge.config.reading import read_config


def space(
    config: Annotated[Path, Argument(help="What to search, and how.", show_default=False)],
    form: Annotated[Form, Option(help="What to write on standard output.")] = Form.text,
) -> None:
    """Shows the dimensions of a search, how many points there are, and the recipe of one.

    Reads the models' headers, no weights.
    """
    from evomerge.config.preparing import template_of
    from evomerge.template.description import COLUMNS, describe

    description = describe(template_of(read_config(config)))
    if form is Form.json:
        sys.stdout.write(json.dumps(description.tree(), indent=2) + "\n")
        return
    sys.stdout.write(table(COLUMNS, description.cells()))
    sys.stdout.write("".join(f"{line}\n" for line in description.summary()))
    sys.stdout.write(f"\nThe recipe in its middle:\n\n{description.example}")
