"""What callers may hand in besides the arrays that the extension takes as they are."""

from __future__ import annotations

import json
import os
import pathlib
import tempfile
from collections.abc import Iterable
from typing import Any, Union

import numpy as np
import numpy.typing as npt

from .errors import InvalidError, UsageError

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int32]


def numbers(name: str, value: npt.ArrayLike) -> Floats:
    """Row-major float32 of whatever numpy makes real numbers of."""
    return np.asarray(_array(name, value, "fiub"), dtype=np.float32, order="C")


def token_ids(name: str, value: npt.ArrayLike) -> Ids:
    """Row-major int32 of whole numbers that fit."""
    array = _array(name, value, "iu")
    ids = np.asarray(array, dtype=np.int32, order="C")
    if array.dtype != np.int32 and not np.array_equal(ids, array):
        raise InvalidError(f"input '{name}': a token id does not fit into 32 bits")
    return ids


def _array(name: str, value: npt.ArrayLike, kinds: str) -> npt.NDArray[Any]:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise UsageError(f"input '{name}' is not an array: {error}") from None
    if array.dtype.kind not in kinds:
        wanted = "real numbers" if "f" in kinds else "token ids, which are whole numbers"
        raise UsageError(f"input '{name}' holds {array.dtype}, and the model takes {wanted}")
    return array


class DataFile:
    """The file of examples that `data` is, or the one that its examples are written to: a str is a line
    {"text": …} of JSON Lines, a mapping the line itself. A context manager that gives the path."""

    def __init__(self, data: Union[str, os.PathLike[str], Iterable[Any]]) -> None:
        self._folder: Union[tempfile.TemporaryDirectory[str], None] = None
        if isinstance(data, (str, os.PathLike)):
            self.path = os.fspath(data)
            return
        lines = [json.dumps({"text": each} if isinstance(each, str) else each) for each in data]
        self._folder = tempfile.TemporaryDirectory(prefix="attn-")
        file = pathlib.Path(self._folder.name, "data.jsonl")
        file.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        self.path = str(file)

    def close(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()
