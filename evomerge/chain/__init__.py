"""Searches one after the other: the best of each enters the next as a model.

folder     where the stages and the models between them stand
winners    the trial that enters the next stage, and its model
foreseeing every stage looked at before the first has run
running    begun, gone on with, judged
findings   what a report says of all stages
steps      the whole way to the last model, as recipes
"""

from __future__ import annotations

from evomerge.chain.folder import Chain, is_chain
from evomerge.chain.running import begin, judge, resume

__all__ = ["Chain", "begin", "is_chain", "judge", "resume"]
