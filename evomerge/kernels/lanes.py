"""The bit-level building blocks of the compiled kernels, as LLVM instructions.

Numba promotes 16 and 32-bit integers to 64 bits, which keeps loops from being vectorised; these
intrinsics stay in 32 bits. They take any element type we have kernels for: bfloat16 (as uint16)
and float32.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from evomerge.noise import FIRST, GOLDEN, SECOND

_I16, _I32, _I64, _F32 = ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType()
_QUIET_NAN = 0x7FC0


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
