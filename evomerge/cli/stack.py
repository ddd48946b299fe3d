"""``evomerge stack``: the recipe of a stack of layers, or what a plan that is no recipe scores."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option, Typer

from evomerge.cli.parallel import Layers, Model, parallel
from evomerge.cli.stack_recipe import Wanted, layers_from, write_stack
from evomerge.report.words import counted
from evomerge.stacks import Stack, presets
from evomerge.stacks.presets import Named

Scale = Annotated[
    float | None, Option(help="Multiply the residual stream with this at every seam.")
]
Anchor = Annotated[
    str | None,
    Option(metavar="MODEL", help="Gives embedding, head and tokenizer; by default the first."),
]
Out = Annotated[Path | None, Option(help="The file to write; by default standard output.")]
Force = Annotated[bool, Option("--force", help="Replace a file that stands there.")]

stack = Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=False)


@stack.callback()
def _about() -> None:
    """Writes the recipe of a stack of layers, for 'evomerge merge' or mergekit-yaml to follow."""


@stack.command()
def upscale(
    model: Model,
    drop: Annotated[int, Option(help="How many layers to leave out on each side of the seam.")],
    scale: Scale = None,
    out: Out = None,
    force: Force = False,
) -> None:
    """A model twice, without its last and its first layers: depth up-scaling, as SOLAR had it.

    Of 32 layers, --drop 8 makes 48.
    """

    def build(named: Named) -> Stack:
        ((reference, layers),) = named
        return presets.upscaled(reference, layers, drop)

    title = (
        f"Depth up-scaling of {model}, dropping {counted(drop, 'layer')} on each side of the seam"
    )
    write_stack([model], Wanted(out, force, scale), title, build)


@stack.command()
def interleave(  # noqa: PLR0913, PLR0917  the signature is the command line
    models: Annotated[
        list[str], Argument(metavar="MODEL...", help="Models of one depth, in turn.")
    ],
    block: Annotated[int, Option(help="How many layers stand together.")],
    step: Annotated[int, Option(help="How many layers further in each block begins.")],
    scale: Scale = None,
    anchor: Anchor = None,
    out: Out = None,
    force: Force = False,
) -> None:
    """Blocks of several models in turn, which overlap: as Goliath had it.

    Of two models with 80 layers, --block 16 --step 8 makes nine blocks, 144 layers.
    """
    further = f"each {counted(step, 'layer')} further in"
    title = f"Blocks of {block} layers of {', '.join(models)} in turn, {further}"
    wanted = Wanted(out, force, scale, anchor)
    write_stack(models, wanted, title, lambda named: presets.interleaved(named, block, step))


@stack.command()
def join(  # noqa: PLR0913, PLR0917  the signature is the command line
    first: Model,
    second: Model,
    head: Annotated[int, Option(help="How many layers of the first model, from its first on.")],
    tail: Annotated[int, Option(help="How many layers of the second, up to its last.")],
    scale: Scale = None,
    anchor: Anchor = None,
    out: Out = None,
    force: Force = False,
) -> None:
    """The first layers of one model, and the last layers of another."""
    title = f"The first {head} layers of {first}, the last {tail} of {second}"
    wanted = Wanted(out, force, scale, anchor)
    write_stack([first, second], wanted, title, lambda named: presets.joined(named, head, tail))


@stack.command()
def skip(
    model: Model, layers: Layers, scale: Scale = None, out: Out = None, force: Force = False
) -> None:
    """A model without some of its layers."""

    def build(named: Named) -> Stack:
        ((reference, count),) = named
        return presets.skipped(reference, count, layers_from(layers, count, reference))

    write_stack([model], Wanted(out, force, scale), f"{model} without layers {layers}", build)


@stack.command()
def repeat(
    model: Model,
    layers: Layers,
    times: Annotated[int, Option(help="How often they stand there.")] = 2,
    scale: Scale = None,
    out: Out = None,
    force: Force = False,
) -> None:
    """A model with some of its layers several times over."""

    def build(named: Named) -> Stack:
        ((reference, count),) = named
        middle = layers_from(layers, count, reference)
        return presets.repeated(reference, count, middle, times)

    title = f"{model} with layers {layers} {times} times over"
    write_stack([model], Wanted(out, force, scale), title, build)


@stack.command()
def share(model: Model, layers: Layers, out: Out = None, force: Force = False) -> None:
    """A model in which one layer, the centre one, stands for each of some layers."""

    def build(named: Named) -> Stack:
        ((reference, count),) = named
        return presets.shared(reference, count, layers_from(layers, count, reference))

    title = f"{model} with the centre of layers {layers} for each of them"
    write_stack([model], Wanted(out, force), title, build)


@stack.command()
def reverse(model: Model, layers: Layers, out: Out = None, force: Force = False) -> None:
    """A model with some of its layers in reverse order."""

    def build(named: Named) -> Stack:
        ((reference, count),) = named
        return presets.backwards(reference, count, layers_from(layers, count, reference))

    title = f"{model} with layers {layers} in reverse order"
    write_stack([model], Wanted(out, force), title, build)


@stack.command()
def shuffle(
    model: Model,
    layers: Layers,
    seed: Annotated[int, Option(help="Another seed, another order.")] = 0,
    out: Out = None,
    force: Force = False,
) -> None:
    """A model with some of its layers in a random order."""

    def build(named: Named) -> Stack:
        ((reference, count),) = named
        return presets.shuffled(reference, count, layers_from(layers, count, reference), seed)

    title = f"{model} with layers {layers} in the random order of seed {seed}"
    write_stack([model], Wanted(out, force), title, build)


stack.command()(parallel)
