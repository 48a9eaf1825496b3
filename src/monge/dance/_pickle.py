"""Read arrays from pickle files without executing them.

A pickle is a program for a stack machine, which may call any function. This reader follows only
the instructions that build dictionaries of numbers and of NumPy arrays, and constructs the arrays
from their bytes itself. It imports nothing and calls nothing that a file names, so untrusted files
are safe to read. The memory that it allocates is bounded by the length of the file.
"""

from __future__ import annotations

import math
import pickletools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monge.errors import MongeError

_LARGEST = 2**28  # bytes of a file
_KINDS = re.compile("[biuf][1248]")
_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")  # NumPy 1 and 2
_NUMERIC = ("numpy.core.numeric", "numpy._core.numeric")
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS = {
    *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
    *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_TUPLES = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def read_arrays(path: str | Path) -> dict[str, NDArray[Any]]:
    """Return the arrays and numbers of a dictionary in a pickle file, by their keys.

    Nothing is executed. Raises MongeError for a file that does not exist, is truncated, or holds
    anything but such a dictionary; the message names the function or instruction in the file.

    >>> import pickle, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "motion.pkl"
    ...     _ = path.write_bytes(pickle.dumps({"trans": np.ones((5, 3)), "scaling": 93.0}))
    ...     {key: value.shape for key, value in read_arrays(path).items()}
    {'trans': (5, 3), 'scaling': ()}
    """
    try:
        if Path(path).stat().st_size > _LARGEST:
            raise MongeError(
                f"'{path}' is larger than {_LARGEST >> 20} MiB: choose a file of motion, which is "
                "smaller"
            )
        content = Path(path).read_bytes()
    except OSError as error:
        raise MongeError(f"cannot read '{path}' ({error.strerror})") from error
    try:
        return _Machine().run(content)
    except _RefusedError as error:
        raise MongeError(
            f"'{path}' refused: {error}; only NumPy arrays of numbers are read, copy the file from "
            "its source"
        ) from error
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
        raise MongeError(
            f"'{path}' is corrupt ({str(error) or type(error).__name__}): copy it again"
        ) from error


class _RefusedError(Exception):
    """A file holds an instruction, function or type that this reader does not follow."""


class _Dtype:
    """A numeric type; ``order`` is its byte order."""

    def __init__(self, code: str) -> None:
        if not isinstance(code, str) or not _KINDS.fullmatch(code):
            raise _RefusedError(f"it holds an array of type {code!r}")
        self.code, self.order = code, "|"

    def build(self, state: Any) -> None:
        self.order = state[1]
        if self.order not in ("<", ">", "=", "|"):
            raise ValueError(f"byte order {self.order!r}")

    def values(self, content: bytes, shape: tuple[int, ...], order: str) -> NDArray[Any]:
        dtype = np.dtype(self.order.replace("|", "=") + self.code)
        is_shape = all(isinstance(n, int) and n >= 0 for n in shape)
        if not is_shape or math.prod(shape) * dtype.itemsize != len(content):
            raise ValueError(f"an array of shape {shape} in {len(content)} bytes")
        array = np.frombuffer(content, dtype).reshape(shape, order="F" if order == "F" else "C")
        return array.astype(dtype.newbyteorder("="))


class _Array:
    """An array; ``values`` is None until `build` sets it."""

    values: NDArray[Any] | None = None

    def build(self, state: Any) -> None:
        _, shape, dtype, is_fortran, content = state
        order = "F" if is_fortran else "C"
        self.values = _typed(dtype).values(_bytes(content), tuple(shape), order)


class _Machine:
    """The pickle machine: its stack, its marks and its memo."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self, content: bytes) -> dict[str, NDArray[Any]]:
        for opcode, argument, at in pickletools.genops(content):
            if opcode.name == "STOP":
                if len(self.stack) != 1:
                    raise ValueError(f"it holds {len(self.stack)} values, not one")
                return _arrays(self.stack[0])
            if not self.step(opcode.name, argument):
                raise _RefusedError(f"it has the instruction {opcode.name} at byte {at}")
        raise ValueError("it has no end")

    def step(self, name: str, argument: Any) -> bool:
        """Execute one instruction; return False for an unsupported one."""
        stack = self.stack
        if name in _LITERALS:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _TUPLES:
            stack.append(tuple(self.pop(_TUPLES[name])))
        elif name == "TUPLE":
            stack.append(tuple(self.pop_mark()))
        elif name == "EMPTY_DICT":
            stack.append({})
        elif name == "MARK":
            self.marks.append(len(stack))
        elif name in ("SETITEM", "SETITEMS"):
            items = self.pop(2) if name == "SETITEM" else self.pop_mark()
            _fill(stack[-1], items)
        elif name in ("MEMOIZE", "BINPUT", "LONG_BINPUT"):
            self.memo[len(self.memo) if name == "MEMOIZE" else argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(self.memo[argument])
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            module, function = argument.split(" ", 1) if name == "GLOBAL" else self.pop(2)
            stack.append(_allowed(module, function))
        elif name == "REDUCE":
            function, arguments = self.pop(2)
            stack.append(_call(function, arguments))
        elif name == "BUILD":
            (state,) = self.pop(1)
            _built(stack[-1]).build(state)
        else:
            return name in ("PROTO", "FRAME")
        return True

    def pop(self, count: int) -> list[Any]:
        if len(self.stack) < count:
            raise ValueError("its stack is empty")
        taken = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return taken

    def pop_mark(self) -> list[Any]:
        return self.pop(len(self.stack) - self.marks.pop())


def _scalar(dtype: Any, content: Any) -> NDArray[Any]:
    return _typed(dtype).values(_bytes(content), (), "C")


def _from_buffer(content: Any, dtype: Any, shape: Any, order: Any) -> _Array:
    array = _Array()
    array.values = _typed(dtype).values(_bytes(content), tuple(shape), order)
    return array


class _Call:
    """The replacement for a NumPy function that pickles of arrays name."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function


_FUNCTIONS = {
    **{(module, "_reconstruct"): _Call(lambda *_: _Array()) for module in _MULTIARRAY},
    **{(module, "scalar"): _Call(_scalar) for module in _MULTIARRAY},
    **{(module, "_frombuffer"): _Call(_from_buffer) for module in _NUMERIC},
    ("numpy", "ndarray"): _Call(lambda *_: _Array()),
    ("numpy", "dtype"): _Call(lambda code, *_: _Dtype(code)),
    ("_codecs", "encode"): _Call(lambda text, _: text.encode("latin1")),
}


def _allowed(module: Any, function: Any) -> _Call:
    if (module, function) not in _FUNCTIONS:
        raise _RefusedError(f"it calls '{module}.{function}', which could run a program")
    return _FUNCTIONS[module, function]


def _call(function: Any, arguments: Any) -> Any:
    if not isinstance(function, _Call) or not isinstance(arguments, tuple):
        raise ValueError("it calls a value that is not a function")
    return function.function(*arguments)


def _built(value: Any) -> _Array | _Dtype:
    if not isinstance(value, _Array | _Dtype):
        raise ValueError("it sets the state of a value that has none")
    return value


def _typed(value: Any) -> _Dtype:
    if not isinstance(value, _Dtype):
        raise ValueError("an array without a type")
    return value


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes | bytearray):
        raise _RefusedError(f"it holds an array of {type(value).__name__}, not of numbers")
    return bytes(value)


def _fill(target: Any, items: list[Any]) -> None:
    keys, values = items[::2], items[1::2]
    are_texts = all(isinstance(key, str) for key in keys)
    if not isinstance(target, dict) or len(keys) != len(values) or not are_texts:
        raise ValueError("a dictionary with keys that are not text")
    target.update(zip(keys, values, strict=True))


def _arrays(value: Any) -> dict[str, NDArray[Any]]:
    if not isinstance(value, dict):
        raise ValueError("it does not hold a dictionary")
    items = {key: item.values if isinstance(item, _Array) else item for key, item in value.items()}
    numeric = (np.ndarray, float, int)
    return {key: np.asarray(item) for key, item in items.items() if isinstance(item, numeric)}
