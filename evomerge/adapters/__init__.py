"""LoRA adapters merged as what they are: low-rank updates of one base, whatever their gauge.

- ``updates``: an update as two thin factors, and several side by side
- ``frechet_mean``: the mean that distances pull in no direction, in general
- ``truncation``: the best approximation of a sum of updates by one of less rank
- ``chordal``, ``balanced``, ``invariant``: the three manifolds; ``gauges`` is of the last one
- ``base``: what a method is; ``frechet``, ``knots``, ``svd``, ``linear``, ``naive`` are methods
- ``adapter``: one on disk, and what it does to each tensor of its base; ``sources``: several
- ``lengths``, ``wholes``: what is averaged apart: DoRA's lengths, biases and whole modules
- ``plan``: which method and parameters make the update of each matrix
- ``contents``: an adapter as PEFT has it in its files; ``folder`` writes it
- ``extraction``: the low-rank part of the difference between two models; ``extracting`` writes it
"""
