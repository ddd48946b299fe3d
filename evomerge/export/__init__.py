"""Recipes that leave a run: mergekit's YAML, and a heading that says what was found.

extensions  what of a recipe mergekit does not know
multi       a recipe of several methods, in steps that mergekit can follow
heading     the comment above a recipe
choice      which trials are taken
exported    a trial as the text of a file
output      files and folders that exist whole or not at all
winners     what a finished run keeps beside its ledger
"""

from __future__ import annotations

from evomerge.export.choice import Choice, chosen
from evomerge.export.exported import Exported, export
from evomerge.export.output import check_file, check_folder, write_file, write_folder
from evomerge.export.winners import folder_of, write_winners

__all__ = [
    "Choice",
    "Exported",
    "check_file",
    "check_folder",
    "chosen",
    "export",
    "folder_of",
    "write_file",
    "write_folder",
    "write_winners",
]
