"""Writes a merge as a folder that transformers loads: weights, config, tokenizer, card, recipe."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from evomerge.checkpoint.card import write_adapter_card, write_card
from evomerge.checkpoint.chat_template import chat_template, write_chat_template
from evomerge.checkpoint.config import merged_config
from evomerge.checkpoint.tokenizer_files import copy_generation_config, copy_tokenizer
from evomerge.checkpoint.writer import FolderWriter
from evomerge.errors import OutputError
from evomerge.merging.plan import Plan
from evomerge.merging.stream import Options, Progress, check_device, run

DEFAULT_SHARD_BYTES = 5 * 10**9


@dataclass(frozen=True)
class Documents:
    """The small files that depend on all of the models.

    Attributes:
        config: the content of config.json.
        chat_template: Jinja text; None leaves the donor's.
    """

    config: Mapping[str, object]
    chat_template: str | None


def output_bytes(plan: Plan) -> int:
    """The size of the weights that a plan writes."""
    return sum(tensor.info.nbytes for tensor in plan.tensors)


def write_merge(
    plan: Plan,
    out: Path,
    *,
    shard_bytes: int = DEFAULT_SHARD_BYTES,
    force: bool = False,
    options: Options | None = None,
    progress: Progress | None = None,
) -> None:
    """Makes the model and writes it, whole or not at all.

    Args:
        plan: what to make.
        out: the folder to write.
        shard_bytes: how much one file holds.
        force: replace a model that stands there.
        options: how to run.
        progress: called from several threads with the number of finished elements.

    Raises:
        OutputError: the folder cannot be written.
        RecipeError: there is no such chat template.
        MergeError: a model holds NaN, or models disagree in a buffer.
    """
    documents = documents_of(plan)
    with writer_for(plan, out, shard_bytes=shard_bytes, force=force, options=options) as writer:
        run(plan, lambda info, at, block: writer.write(info.name, at, block), options, progress)
        write_documents(plan, documents, writer.folder)
        if plan.adapters is not None:
            write_adapter_card(writer.folder, plan.adapters, name=writer.out.name)
        else:
            write_card(writer.folder, plan.recipe, name=writer.out.name, text=plan.recipe.write())
        writer.commit()


def check_merge(
    plan: Plan,
    out: Path,
    *,
    shard_bytes: int = DEFAULT_SHARD_BYTES,
    force: bool = False,
    options: Options | None = None,
) -> None:
    """Refuses what `write_merge` refuses without having read any weights. Writes nothing.

    Raises:
        OutputError: the folder cannot be written.
        RecipeError: there is no such chat template.
        MergeError: there is no such device, or no config that describes the output.
    """
    documents_of(plan)
    writer_for(plan, out, shard_bytes=shard_bytes, force=force, options=options)


def documents_of(plan: Plan) -> Documents:
    """What of the small files can be told, and refused, before any weight is read.

    Raises:
        RecipeError: there is no such chat template.
        MergeError: no config describes the output.
    """
    return Documents(_config(plan), _chat_template(plan))


def write_documents(plan: Plan, documents: Documents, folder: Path) -> None:
    """Writes all that transformers reads besides the weights.

    Raises:
        OSError: a file cannot be read or written.
    """
    models = plan.models
    text = json.dumps(documents.config, indent=2, ensure_ascii=False)
    (folder / "config.json").write_text(text + "\n", encoding="utf-8")
    if models.vocabulary is None:
        copy_generation_config(models.donor.source.folder, folder)
        copy_tokenizer(models.donor.source.folder, folder)
    else:
        models.vocabulary.write(folder, models.donor_reference)
    if documents.chat_template is not None:
        write_chat_template(folder, documents.chat_template)


def writer_for(
    plan: Plan, out: Path, *, shard_bytes: int, force: bool, options: Options | None
) -> FolderWriter:
    """Where everything goes; nothing has been written yet.

    Raises:
        OutputError: the folder cannot be written, or is one of the models.
        MergeError: there is no such device.
    """
    check_device((options or Options()).device)
    for model in plan.models.by_reference.values():
        folder = model.source.folder.resolve()
        if force and folder.is_relative_to(out.resolve()):
            raise OutputError(
                f"{out}: would replace {model.source.label}, which is being merged; choose another"
            )
    infos = [tensor.info for tensor in plan.tensors]
    return FolderWriter(out, infos, shard_bytes=shard_bytes, force=force)


def _chat_template(plan: Plan) -> str | None:
    if plan.recipe.chat_template is None:
        return None
    folders = [model.source.folder for model in plan.models.by_reference.values()]
    return chat_template(plan.recipe.chat_template, folders)


def _config(plan: Plan) -> dict[str, object]:
    models, vocabulary = plan.models, plan.models.vocabulary
    origins = []
    for part in plan.slices:
        config = models.by_reference[part.described.model].source.config
        origins += [(config, layer) for layer in part.described.layers]
    # Copied tensors, which may be large masks, keep types of their own.
    merged = [tensor.info for tensor in plan.tensors if tensor.parameters is not None]
    largest = max(merged, key=lambda info: info.size)
    donor = models.donor.source.config
    if vocabulary is not None:
        donor = vocabulary.adapted(donor, models.donor_reference)
    return merged_config(
        donor,
        family=models.family,
        layers=origins,
        vocabulary_size=None if vocabulary is None else vocabulary.rows,
        dtype=largest.dtype,
        tied=plan.tied,
    )
