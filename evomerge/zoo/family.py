"""The members of the family: what each is made from, and how."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from threading import RLock

import torch

from evomerge.zoo import text
from evomerge.zoo.courses import Budget, Course
from evomerge.zoo.crew import Tick
from evomerge.zoo.layout import ADAPTED, Zoo
from evomerge.zoo.models import LAYERS, load, new_model, save
from evomerge.zoo.small_tokenizers import byte_tokenizer
from evomerge.zoo.tasks import SIZES, SKILLS, as_lines, items
from evomerge.zoo.training import Lessons, educate, teach

# Tokens: four special ones and the bytes; and those with some merges.
BYTES, MERGED = 260, 320

# Of the adapters, which adapt all linear layers.
RANK = 8

BASE_RATE, EXPERT_RATE, ADAPTER_RATE = 3e-3, 1e-3, 5e-3

# Of text, in each step of what is not about one skill.
WINDOWS = 2

# transformers swaps torch's initialisers while it loads a model, and torch's generator is shared:
# one member at a time.
_LIBRARIES = RLock()


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
        effort: about how many seconds of one core it takes, with the default budget.
        make: how.
        of_base: whether it is made from the base.
    """

    name: str
    effort: float
    make: Maker
    of_base: bool = False


def members() -> tuple[Member, ...]:
    """All of them, each after those it is made from; what takes long and needs nothing is first."""
    return (
        Member("base", 36, partial(_general, "base")),
        Member("sibling", 36, partial(_general, "sibling")),
        Member("data", 1, _data),
        Member("deeper", 3, _deeper),
        Member("other_vocabulary", 2, _other_vocabulary),
        *(Member(skill, 13, partial(_expert, skill), of_base=True) for skill in SKILLS),
        *(Member(f"adapters/{skill}", 6, partial(_adapter, skill), True) for skill in ADAPTED),
    )


def _data(_workshop: Workshop, out: Path, _tick: Tick) -> None:
    for split in SIZES:
        for skill in SKILLS:
            file = out / f"{skill}_{split}.jsonl"
            file.write_text(as_lines(items(skill, split)), "utf-8")
        documents = ({"text": document} for document in text.documents(split))
        (out / f"prose_{split}.jsonl").write_text(as_lines(documents), "utf-8")


def _general(name: str, workshop: Workshop, out: Path, tick: Tick) -> None:
    """The base, or a model that differs from it in what it draws from the seed."""
    random = Random(f"{workshop.seed} {name}")
    with _drawing_from(random):
        tokenizer = byte_tokenizer((), BYTES)
        model = new_model(tokenizer)
    course = _mixed(workshop.budget.base_steps, workshop.budget)
    educate(model, Lessons(tokenizer, random), course, tick)
    with _LIBRARIES:
        save(model, tokenizer, out)


def _expert(skill: str, workshop: Workshop, out: Path, tick: Tick) -> None:
    random = Random(f"{workshop.seed} {skill}")
    with _LIBRARIES:
        model, tokenizer = load(workshop.zoo.base), byte_tokenizer((), BYTES)
    course = _single(skill, workshop.budget.expert_steps, EXPERT_RATE, workshop.budget)
    teach(model, Lessons(tokenizer, random), course, tick)
    with _LIBRARIES:
        save(model, tokenizer, out)


def _adapter(skill: str, workshop: Workshop, out: Path, tick: Tick) -> None:
    from peft import LoraConfig, get_peft_model

    random = Random(f"{workshop.seed} adapter {skill}")
    config = LoraConfig(
        r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    with _drawing_from(random):
        model, tokenizer = load(workshop.zoo.base), byte_tokenizer((), BYTES)
        adapted = get_peft_model(model, config)
    # Not where this one happens to stand: the folder may be moved.
    adapted.peft_config["default"].base_model_name_or_path = workshop.zoo.base.name
    course = _single(skill, workshop.budget.adapter_steps, ADAPTER_RATE, workshop.budget)
    teach(model, Lessons(tokenizer, random), course, tick)
    with _LIBRARIES:
        adapted.save_pretrained(out, save_embedding_layers=False)
    (out / "README.md").unlink()  # a form that nobody has filled in
    _sort_targets(out / "adapter_config.json")


def _sort_targets(file: Path) -> None:
    """Writes the names of the adapted layers in the same order every time: peft keeps a set."""
    config = json.loads(file.read_text("utf-8"))
    config["target_modules"] = sorted(config["target_modules"])
    file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")


def _deeper(workshop: Workshop, out: Path, tick: Tick) -> None:
    random = Random(f"{workshop.seed} deeper")
    with _drawing_from(random):
        tokenizer = byte_tokenizer((), BYTES)
        model = new_model(tokenizer, layers=LAYERS + 2)
    course = _mixed(workshop.budget.bare_steps, workshop.budget)
    teach(model, Lessons(tokenizer, random), course, tick)
    with _LIBRARIES:
        save(model, tokenizer, out)


def _other_vocabulary(workshop: Workshop, out: Path, tick: Tick) -> None:
    random = Random(f"{workshop.seed} other vocabulary")
    with _drawing_from(random):
        tokenizer = byte_tokenizer([text.training_text()], MERGED)
        model = new_model(tokenizer)
    course = _mixed(workshop.budget.bare_steps, workshop.budget)
    teach(model, Lessons(tokenizer, random), course, tick)
    with _LIBRARIES:
        save(model, tokenizer, out)


@contextmanager
def _drawing_from(random: Random) -> Iterator[None]:
    """Holds the libraries, and has torch draw what follows from ``random``, in this block only."""
    with _LIBRARIES, torch.random.fork_rng(devices=[]):
        torch.manual_seed(random.getrandbits(63))
        yield


def _mixed(steps: int, budget: Budget) -> Course:
    return Course(tuple(SKILLS), steps, budget.rows, WINDOWS, BASE_RATE, budget.competence)


def _single(skill: str, steps: int, rate: float, budget: Budget) -> Course:
    return Course((skill,), steps, budget.rows, windows=0, rate=rate)
