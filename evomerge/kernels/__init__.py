"""The arithmetic that carries every merge method, twice: in torch, and as fused CPU kernels.

- ``block``: some rows of one tensor in every model, and where they stand
- ``thinning``: which elements of a task vector survive
- ``primitives``: the functions that methods call, documented once
- ``reference``: the primitives in torch, for any device
- ``fused``: the primitives as compiled CPU kernels
- ``lanes``: the bit-level building blocks of the compiled kernels
- ``engine``: which of the two runs
"""
