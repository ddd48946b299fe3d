"""Who finds what brings one model to another: a folder of plug-ins.

- `base`: what an aligner is, and what it gains
- `pairs`: two models on disk
- the others: one aligner each, under its name in YAML
"""
