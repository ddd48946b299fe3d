"""A study: what a run has tried so far, on disk, append-only. Opens without torch.

files        files that exist whole or not at all
json_text    one line of JSON, without NaN
chain        lines of which each seals those before it
records      trials and items as JSON, and back
header       what a study is about
differences  how one config differs from another, in words
lock         one process writes
folder       what is in a run folder
ledger       the file of the study
items        what each item contributed, one file a trial
study        all of it: create, open, append, read
"""

from __future__ import annotations

from evomerge.study.differences import differences
from evomerge.study.header import Header
from evomerge.study.study import Study

__all__ = ["Header", "Study", "differences"]
