"""The report as one HTML file with pictures, which opens without a network."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from importlib.util import find_spec

from evomerge.errors import MissingExtra
from evomerge.report.blocks import Block, Code, Heading, Paragraph, Table
from evomerge.report.document import document
from evomerge.report.pictures import pictures, script
from evomerge.report.summary import Summary
from evomerge.study import Study

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1c2733; background: #fff;
       max-width: 1000px; margin: 2.5rem auto; padding: 0 1.5rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; }
h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid #d8dee6; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { text-align: left; padding: .2rem .9rem .2rem 0; vertical-align: top; }
th { font-weight: 600; color: #5a6b7d; border-bottom: 1px solid #d8dee6; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
pre { background: #f4f6f8; padding: .8rem 1rem; overflow-x: auto; font-size: 13px; }
p { margin: .5rem 0; }
"""


def page(study: Study, summary: Summary) -> str:
    """The page: the report's text, and pictures of the search below the verdict.

    Raises:
        MissingExtra: plotly is not installed.
    """
    if find_spec("plotly") is None:
        raise MissingExtra("report --form html", "plotly", "report")
    first, *rest = document(summary)
    title = escape(summary.run)
    drawn = "\n".join(f"<h2>{escape(name)}</h2>\n{html}" for name, html in pictures(study, summary))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{STYLE}</style>
<script>{script()}</script>
</head>
<body>
<h1>{title}</h1>
{_html([first])}
{drawn}
{_html(rest)}
</body>
</html>
"""


def _html(blocks: Iterable[Block]) -> str:
    return "\n".join(map(_element, blocks))


def _element(block: Block) -> str:
    if isinstance(block, Table):
        return _table(block)
    tags = {Heading: "h2", Paragraph: "p", Code: "pre"}
    tag = tags[type(block)]
    return f"<{tag}>{escape(block.text)}</{tag}>"


def _table(block: Table) -> str:
    kinds = ["number" if heading in block.numbers else "word" for heading in block.headings]
    rows = [_row("th", block.headings, kinds), *(_row("td", row, kinds) for row in block.rows)]
    return "<table>\n" + "\n".join(rows) + "\n</table>"


def _row(tag: str, cells: Iterable[str], kinds: Iterable[str]) -> str:
    pairs = zip(cells, kinds, strict=True)
    inner = "".join(f'<{tag} class="{kind}">{escape(cell)}</{tag}>' for cell, kind in pairs)
    return f"<tr>{inner}</tr>"
