"""A model's name -> a folder on this machine, downloaded if need be.

No code that comes with a model is ever run.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from evomerge.errors import CheckpointError

# What reading a model or an adapter takes: no pickles, no other formats.
WANTED = ["*.safetensors", "*.json", "*.jinja", "*.model", "*.txt"]
# Copies of the same weights in Mistral's own format, and what lies in folders below (training
# states, exports to other formats).
UNWANTED = ["consolidated*", "*/*"]

_ID = re.compile(r"^[A-Za-z0-9][\w.-]*(/[\w.-]+)?$")


def locate(reference: str, revision: str | None = None) -> Path:
    """The folder of a model or an adapter.

    Args:
        reference: a folder, or the id of a Hugging Face repository: ``organisation/name``.
        revision: a branch, tag or commit of the repository.

    Raises:
        CheckpointError: there is no such folder or repository, or it cannot be reached and is
            not in the cache.
    """
    path = _as_path(reference)
    if reference and path.is_dir():
        if revision is not None:
            raise CheckpointError(
                f"{reference}: a folder has no revisions, but '{revision}' was asked for; "
                "leave out the '@' and what follows"
            )
        return path
    if path.is_file():
        raise CheckpointError(f"{reference}: a file; expected the folder of a model")
    if _is_path(reference):
        begin = "" if path.is_absolute() else f"; relative paths begin at {Path.cwd()}"
        raise CheckpointError(f"'{reference}': no such folder{begin}")
    return _download(reference, revision)


def label_of(reference: str, folder: Path) -> str:
    """What messages call a model: the id it was found under, or the name of its folder."""
    return folder.resolve().name if folder == _as_path(reference) else reference


def _as_path(reference: str) -> Path:
    return Path(os.path.expanduser(reference))  # which leaves an unknown ~user as it is


def _is_path(reference: str) -> bool:
    """Whether it can only be a path: no repository has such a name."""
    return not _ID.match(reference) or reference.endswith((".safetensors", ".git"))


def _download(name: str, revision: str | None) -> Path:
    """The folder of a repository in the Hugging Face cache, brought up to date if possible."""
    # Slow to import, and not needed for folders.
    from huggingface_hub import errors, snapshot_download

    try:
        folder = snapshot_download(
            name, revision=revision, allow_patterns=WANTED, ignore_patterns=UNWANTED
        )
    except errors.LocalEntryNotFoundError as error:
        # Offline. A snapshot that lacks some files may have all that are needed.
        partial = getattr(error, "snapshot_path", None)
        if partial is None:
            raise CheckpointError(_unreachable(name, revision)) from error
        folder = partial
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise CheckpointError(_refused(name, revision, error)) from error
    # HTTPError is what the hub's client library raises when a connection fails.
    except (errors.HTTPError, OSError, ValueError) as error:  # type: ignore[attr-defined]
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{name}: could not be downloaded: {reason}") from error
    return Path(folder)


def _refused(name: str, revision: str | None, error: Exception) -> str:
    """What the hub said no to."""
    from huggingface_hub.errors import GatedRepoError, RevisionNotFoundError

    page = f"https://huggingface.co/{name}"
    if isinstance(error, RevisionNotFoundError):
        return f"{name}: has no revision '{revision}'; see {page}/tree/main for those it has"
    if isinstance(error, GatedRepoError):
        return f"{name}: access must be granted first; ask for it on {page}, then `hf auth login`"
    return (
        f"{name}: no such folder, and no such model on Hugging Face, or a private one; "
        "check the name, or `hf auth login`"
    )


def _unreachable(name: str, revision: str | None) -> str:
    """What cannot be had offline."""
    from huggingface_hub.constants import HF_HUB_OFFLINE

    what = f"revision '{revision}' is not" if revision else "not"
    why = "HF_HUB_OFFLINE is set" if HF_HUB_OFFLINE else "huggingface.co cannot be reached"
    return f"{name}: no such folder, and {what} in the Hugging Face cache, while {why}"
