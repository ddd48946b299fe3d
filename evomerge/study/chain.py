"""Lines of which each carries a hash of itself and of all before it.

{"kind":"header", …, "chain":"1f0a…"}
{"kind":"trial", "number":0, …, "chain":"93bc…"}

The hash is taken over the line's bytes as they stand, up to the comma before ``"chain"``, so that
a line cannot be changed, left out or moved without notice. It is no signature: who wants to deceive
can compute it too.
"""

from __future__ import annotations

import json
from hashlib import blake2b
from typing import Any

from evomerge.errors import StudyError
from evomerge.study.json_text import write_json

HASH_BYTES = 16
# What the first line of a file follows.
START = ""
_SEAL_BYTES = len(b',"chain":""}') + 2 * HASH_BYTES

Record = dict[str, Any]


def seal(record: Record, before: str, where: str) -> tuple[bytes, str]:
    """The line for ``record``, with its newline, and its hash.

    Args:
        record: what the line says; not empty.
        before: the hash of the line before.
        where: what messages call the line.

    Raises:
        StudyError: the record holds NaN or infinity.
    """
    content = write_json(record, where).removesuffix(b"}")
    link = _hash(content, before)
    return content + _seal(link) + b"\n", link


def unseal(line: bytes, before: str, where: str) -> tuple[Record, str]:
    """What a line says, given without its newline, and its hash.

    Args:
        line: the bytes of the line.
        before: the hash of the line before.
        where: what messages call the line.

    Raises:
        StudyError: this is not the line that was written there.
    """
    content = line[:-_SEAL_BYTES]
    link = _hash(content, before)
    if line != content + _seal(link):
        raise StudyError(f"{where}: was changed after it was written, or a line before it removed")
    return json.loads(line), link


def digest(data: bytes) -> str:
    """The hash of a file: 32 hexadecimal digits."""
    return blake2b(data, digest_size=HASH_BYTES).hexdigest()


def _hash(content: bytes, before: str) -> str:
    return digest(before.encode() + content)


def _seal(link: str) -> bytes:
    return f',"chain":"{link}"}}'.encode()
