"""What attn raises: a class for each kind of thing that can go wrong, so that `except` can choose, and
each also the builtin that means the same."""

from __future__ import annotations

__all__ = [
    "CancelledError",
    "Error",
    "FileError",
    "InvalidError",
    "NumericalError",
    "OutOfMemoryError",
    "UsageError",
]


class Error(Exception):
    """One line that names what is known of file, field, value and limit. `kind` says what kind of error
    it is: "usage", "invalid", "io", "memory", "numerical" or "cancelled"."""

    kind = ""


class UsageError(Error, ValueError):
    """The caller asked for something that makes no sense."""

    kind = "usage"


class InvalidError(Error, ValueError):
    """A model, a file's content or data is not what it has to be."""

    kind = "invalid"


class FileError(Error, OSError):
    """The operating system refused to read or write."""

    kind = "io"


class OutOfMemoryError(Error, MemoryError):
    """Not enough memory, or more than a limit allows."""

    kind = "memory"


class NumericalError(Error, ArithmeticError):
    """A NaN or infinity where a number was needed."""

    kind = "numerical"


class CancelledError(Error):
    """Another thread asked for an end."""

    kind = "cancelled"


def of_kind(kind: str) -> type[Error]:
    """The class of a kind, for the extension module."""
    return next(each for each in Error.__subclasses__() if each.kind == kind)
