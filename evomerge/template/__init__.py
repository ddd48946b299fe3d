"""Recipes with holes: what a search explores.

holes       what a hole is: search or choose
kinds       whether models are merged, or adapters
places      where it stands
labels      what the options of a choice are called
scope       which parameters a recipe reads
nodes       filling, and recognising what was filled
bodies      the same of whole recipes, whose methods decide which parameters count
dimensions  which dimensions the holes have
choices     reading a choice
settings    reading parameters
aligning    reading which models are aligned, and how
reading     reading the rest of a recipe
template    the template
uses        under which choices a dimension is read
paths       how each option is reached
fillable    what the following ask of a template
ranges      refusing ranges with illegal recipes in them
filters     refusing filters without tensors
ways        in which models may be aligned
corners     points whose models are known by name
description what people see of a space
"""

from __future__ import annotations

from evomerge.template.template import Template

__all__ = ["Template"]
