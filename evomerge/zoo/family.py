"""The members of the family: what each is made from, and how."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from warnings import catch_warnings, simplefilter

from evomerge.zoo import text
from evomerge.zoo.courses import Budget, Course
from evomerge.zoo.layout import ADAPTED, Zoo
from evomerge.zoo.models import LAYERS, load, new_model, quiet, save
from evomerge.zoo.small_tokenizers import byte_tokenizer
from evomerge.zoo.tasks import SIZES, SKILLS, as_lines, items
from evomerge.zoo.training import Lessons, Tick, educate, repeatable, teach

# Four special tokens and the bytes; and those with some merges.
BYTES, MERGED = 260, 320

# Rank of the adapters, and the layers they adapt: all linear ones.
RANK = 8

BASE_RATE, EXPERT_RATE, ADAPTER_RATE = 3e-3, 1e-3, 5e-3

# Of text, in each step of what is not about one skill.
WINDOWS = 2


@dataclass(frozen=True)
class Workshop:
    """What members are made from.

    Attributes:
        zoo: where the members stand that are there already.
        seed: every member draws from it, each in its own way.
        budget: how much to spend.
    """

    zoo: Zoo
    seed: int
    budget: Budget


# Writes a member to a folder.
Maker = Callable[[Workshop, Path, Tick], None]


@dataclass(frozen=True)
class Member:
    """Something to be built.

    Attributes:
        name: its path in the zoo's folder.
        effort: about how many seconds it takes on two cores, with the default budget.
        make: how.
    """

    name: str
    effort: float
    make: Maker


def members() -> tuple[Member, ...]:
    """All of them, each after those it is made from."""
    return (
        Member("data", 1, _data),
        Member("base", 22, _general("base")),
        *(Member(skill, 7, _expert(skill)) for skill in SKILLS),
        *(Member(f"adapters/{skill}", 5, _adapter(skill)) for skill in ADAPTED),
        Member("sibling", 22, _general("sibling")),
        Member("deeper", 2, _deeper),
        Member("other_vocabulary", 1, _other_vocabulary),
    )


def _data(workshop: Workshop, out: Path, tick: Tick) -> None:  # noqa: ARG001  like all makers
    for split in SIZES:
        for skill in SKILLS:
            file = out / f"{skill}_{split}.jsonl"
            file.write_text(as_lines(items(skill, split)), "utf-8")
        documents = ({"text": document} for document in text.documents(split))
        (out / f"prose_{split}.jsonl").write_text(as_lines(documents), "utf-8")


def _general(name: str) -> Maker:
    """The base, or a model that differs from it in what it draws from the seed."""

    def make(workshop: Workshop, out: Path, tick: Tick) -> None:
        course = _mixed(workshop.budget.base_steps, workshop.budget)
        with repeatable(f"{workshop.seed} {name}") as random:
            tokenizer = byte_tokenizer((), BYTES)
            model = new_model(tokenizer)
            educate(model, Lessons(tokenizer, random), course, tick)
        save(model, tokenizer, out)

    return make


def _expert(skill: str) -> Maker:
    def make(workshop: Workshop, out: Path, tick: Tick) -> None:
        course = _single(skill, workshop.budget.expert_steps, EXPERT_RATE, workshop.budget)
        with repeatable(f"{workshop.seed} {skill}") as random:
            model, tokenizer = load(workshop.zoo.base), byte_tokenizer((), BYTES)
            teach(model, Lessons(tokenizer, random), course, tick)
        save(model, tokenizer, out)

    return make


def _adapter(skill: str) -> Maker:
    def make(workshop: Workshop, out: Path, tick: Tick) -> None:
        from peft import LoraConfig, get_peft_model

        course = _single(skill, workshop.budget.adapter_steps, ADAPTER_RATE, workshop.budget)
        config = LoraConfig(
            r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM"
        )
        with repeatable(f"{workshop.seed} adapter {skill}") as random:
            model, tokenizer = load(workshop.zoo.base), byte_tokenizer((), BYTES)
            with catch_warnings():
                simplefilter("ignore", FutureWarning)  # peft calls transformers by an old name
                adapted = get_peft_model(model, config)
            # Not where this one happens to stand: the folder may be moved.
            adapted.peft_config["default"].base_model_name_or_path = workshop.zoo.base.name
            teach(model, Lessons(tokenizer, random), course, tick)
        with quiet():
            adapted.save_pretrained(out, save_embedding_layers=False)
        (out / "README.md").unlink()  # a form that nobody has filled in
        _sort_targets(out / "adapter_config.json")

    return make


def _sort_targets(file: Path) -> None:
    """Writes the names of the adapted layers in the same order every time: peft keeps a set."""
    config = json.loads(file.read_text("utf-8"))
    config["target_modules"] = sorted(config["target_modules"])
    file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")


def _deeper(workshop: Workshop, out: Path, tick: Tick) -> None:
    with repeatable(f"{workshop.seed} deeper") as random:
        tokenizer = byte_tokenizer((), BYTES)
        model = new_model(tokenizer, layers=LAYERS + 2)
        course = _mixed(workshop.budget.bare_steps, workshop.budget)
        teach(model, Lessons(tokenizer, random), course, tick)
    save(model, tokenizer, out)


def _other_vocabulary(workshop: Workshop, out: Path, tick: Tick) -> None:
    with repeatable(f"{workshop.seed} other vocabulary") as random:
        tokenizer = byte_tokenizer([text.training_text()], MERGED)
        model = new_model(tokenizer)
        course = _mixed(workshop.budget.bare_steps, workshop.budget)
        teach(model, Lessons(tokenizer, random), course, tick)
    save(model, tokenizer, out)


def _mixed(steps: int, budget: Budget) -> Course:
    return Course(tuple(SKILLS), steps, budget.rows, WINDOWS, BASE_RATE, budget.competence)


def _single(skill: str, steps: int, rate: float, budget: Budget) -> Course:
    return Course((skill,), steps, budget.rows, windows=0, rate=rate)
