"""Merge methods, one file each.

- ``base``: what a method is, and the table of all of them
- ``sphere``: geometry in the span of a few models, from their inner products
- ``sparsify``: thinning task vectors by rank, by chance, or both
- ``sparsified``: the family of thinned task vectors, with and without sign election
"""
