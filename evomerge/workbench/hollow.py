"""A model folder as a merge would write it, with a hole in place of the weights.

What transformers makes of the files of a merge, it makes of these. The file of weights is sparse:
it has a header and a length, and takes no space on disk.
"""

from __future__ import annotations

import os
from pathlib import Path

from evomerge.checkpoint.shards import plan_shards
from evomerge.errors import OutputError
from evomerge.merging.folder import Documents, output_bytes, write_documents
from evomerge.merging.plan import Plan


def write_hollow(plan: Plan, documents: Documents, folder: Path) -> Path:
    """Writes config, tokenizer and generation settings, and a file of zeros; returns that file.

    Raises:
        OutputError: the folder cannot be written.
    """
    infos = [tensor.info for tensor in plan.tensors]
    (shard,) = plan_shards(infos, max(1, output_bytes(plan)))
    weights = folder / shard.file
    try:
        write_documents(plan, documents, folder)
        weights.write_bytes(shard.header)
        os.truncate(weights, shard.file_bytes)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be written: {error.strerror}; "
            "set TMPDIR to a folder with some megabytes of space"
        ) from error
    return weights
