"""Writes the tables of docs/methods.md from the declarations of the methods."""

from __future__ import annotations

import re
from pathlib import Path

from evomerge.methods.base import merge_methods
from evomerge.methods.table import methods_table, parameters_table

PAGE = Path(__file__).parent / "methods.md"


def with_tables(page: str) -> str:
    """The page with fresh tables between its markers."""
    methods = [merge_methods[name] for name in merge_methods]
    tables = {"methods": methods_table(methods), "parameters": parameters_table(methods)}
    for name, table in tables.items():
        between = rf"(<!-- {name}: written by .*? -->\n).*?(<!-- {name}: end -->)"
        page = re.sub(between, lambda m, t=table: f"{m[1]}\n{t}\n{m[2]}", page, flags=re.DOTALL)
    return page


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text("utf-8")), "utf-8")
