"""The bit-level building blocks of the compiled kernels, as LLVM instructions.

Numba promotes 16 and 32-bit integers to 64 bits, which keeps loops from being vectorised; these
intrinsics stay in 32 bits. They take any element type we have kernels for: bfloat16 (as uint16)
and float32.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from evomerge.noise import FIRST, GOLDEN, SECOND

_I16, _I32, _I64, _F32 = ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType()
_QUIET_NAN = 0x7FC0

# An inner product is 32 running sums, which are folded by halving: a compiler may not reorder a
# sum, so the order is written down, and is the same on every machine.
_WIDTH, _VECTORS = 8, 4
_VECTOR = ir.VectorType(ir.DoubleType(), _WIDTH)
# How many products go into one step: lanes are filled up with zeros to a multiple of it.
STEP = _WIDTH * _VECTORS


def _i32(value: int) -> Any:
    return ir.Constant(_I32, value)


@intrinsic
def pointer(typing_context: Any, address: Any, like: Any) -> Any:
    """The address as a pointer to elements of the type of the array ``like``."""
    target = types.CPointer(like.dtype)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(target))

    return target(types.uint64, like), generate


@intrinsic
def element(typing_context: Any, address: Any, index: Any, like: Any) -> Any:
    """The element ``index`` of an array at ``address``, of the type of ``like``."""
    dtype = like.dtype

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = context.get_value_type(types.CPointer(dtype))
        start = builder.inttoptr(arguments[0], kind)
        return builder.load(builder.gep(start, [arguments[1]]))

    return dtype(types.uint64, types.int64, like), generate


@intrinsic
def widen(typing_context: Any, element: Any) -> Any:
    """One element as float32, exactly."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if element == types.float32:
            return arguments[0]
        upper = builder.shl(builder.zext(arguments[0], _I32), _i32(16))
        return builder.bitcast(upper, _F32)

    return types.float32(element), generate


@intrinsic
def narrow(typing_context: Any, value: Any, like: Any) -> Any:
    """A float32 rounded to the element type of ``like``, to nearest, ties to even."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        if like.dtype == types.float32:
            return arguments[0]
        bits = builder.bitcast(arguments[0], _I32)
        odd = builder.and_(builder.lshr(bits, _i32(16)), _i32(1))
        rounded = builder.lshr(builder.add(bits, builder.add(odd, _i32(0x7FFF))), _i32(16))
        is_nan = builder.fcmp_unordered("uno", arguments[0], arguments[0])
        return builder.trunc(builder.select(is_nan, _i32(_QUIET_NAN), rounded), _I16)

    return like.dtype(types.float32, like), generate


@intrinsic
def magnitude(typing_context: Any, value: Any) -> Any:
    """The bits of |value|, which order magnitudes as integers."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.and_(builder.bitcast(arguments[0], _I32), _i32(0x7FFFFFFF))

    return types.int32(types.float32), generate


@intrinsic
def larger(typing_context: Any, left: Any, right: Any) -> Any:
    """The larger of two magnitudes, as an element: ``left`` has no sign; NaN is the largest."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word, sign = (_I32, 0x7FFFFFFF) if left == types.float32 else (_I16, 0x7FFF)
        first, second = (builder.bitcast(argument, word) for argument in arguments)
        second = builder.and_(second, ir.Constant(word, sign))
        chosen = builder.select(builder.icmp_unsigned(">", first, second), first, second)
        return builder.bitcast(chosen, context.get_value_type(left))

    return left(left, right), generate


@intrinsic
def draw(typing_context: Any, low: Any, high: Any, first_key: Any, second_key: Any) -> Any:
    """The noise of the element whose flat index has these 32-bit halves: see ``evomerge.noise``."""

    def scramble(builder: Any, bits: Any) -> Any:
        bits = builder.xor(bits, builder.lshr(bits, _i32(16)))
        bits = builder.mul(bits, _i32(FIRST))
        bits = builder.xor(bits, builder.lshr(bits, _i32(15)))
        bits = builder.mul(bits, _i32(SECOND))
        return builder.xor(bits, builder.lshr(bits, _i32(16)))

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        index, above, first, second = arguments
        inner = scramble(builder, builder.xor(index, first))
        spread = builder.mul(above, _i32(GOLDEN))
        return scramble(builder, builder.xor(inner, builder.xor(second, spread)))

    word = types.uint32
    return word(word, word, word, word), generate


@intrinsic
def offset_word(typing_context: Any, start: Any, step: Any) -> Any:
    """``start + step`` in 32 bits, wrapping: the low half of a flat index."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.add(arguments[0], builder.trunc(arguments[1], _I32))

    return types.uint32(types.uint32, types.int64), generate


@intrinsic
def one_more_if(typing_context: Any, count: Any, condition: Any) -> Any:
    """``count`` plus one where the condition holds, in 32 bits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.add(arguments[0], builder.zext(arguments[1], _I32))

    return types.int32(types.int32, types.boolean), generate


@intrinsic
def inner_product(typing_context: Any, left: Any, right: Any, count: Any) -> Any:
    """The sum of ``count`` products of two float64 arrays at these addresses."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        first, second = (
            builder.inttoptr(address, _VECTOR.as_pointer()) for address in arguments[:2]
        )
        zero = ir.Constant(_VECTOR, [0.0] * _WIDTH)
        sums = [cgutils.alloca_once_value(builder, zero) for _ in range(_VECTORS)]
        steps = builder.udiv(arguments[2], ir.Constant(_I64, STEP))
        with cgutils.for_range(builder, steps) as step:
            start = builder.mul(step.index, ir.Constant(_I64, _VECTORS))
            for k, total in enumerate(sums):
                at = builder.add(start, ir.Constant(_I64, k))
                factors = [builder.load(builder.gep(p, [at]), align=8) for p in (first, second)]
                builder.store(builder.fadd(builder.load(total), builder.fmul(*factors)), total)
        return _halved(builder, [builder.load(total) for total in sums])

    return types.float64(types.uint64, types.uint64, types.int64), generate


def _halved(builder: Any, vectors: list[Any]) -> Any:
    """The sum of all elements of four vectors, by halving."""
    a, b, c, d = vectors
    total, width = builder.fadd(builder.fadd(a, b), builder.fadd(c, d)), _WIDTH
    while width > 1:
        width //= 2
        lower, upper = (
            builder.shuffle_vector(total, total, _indices(first, width)) for first in (0, width)
        )
        total = builder.fadd(lower, upper)
    return builder.extract_element(total, ir.Constant(_I32, 0))


def _indices(first: int, count: int) -> Any:
    return ir.Constant(ir.VectorType(_I32, count), list(range(first, first + count)))
