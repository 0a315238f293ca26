"""attn: attention models on CPUs.

    import attn

    model = attn.Model.open("smollm2-135m-instruct.Q4_1.gguf")
    for piece in model.generate("Once upon a time", max_tokens=64):
        print(piece, end="", flush=True)

    model.attention("The elephant was too big", layers=[14])  # draws itself in a notebook

    vectors = attn.Model.open("all-MiniLM-L6-v2").embed(["a sentence", "another one"])  # float32 [2, 384]

Everything that goes wrong raises attn.Error or one of its subclasses. `attn.export` writes models
(it needs the package safetensors). docs/python.md is the guide.
"""

from ._attn import (
    Answer,
    Model,
    ModelInfo,
    PortInfo,
    TextInfo,
    TrainResult,
    TuneEvaluation,
    TuneResult,
    TuneStep,
    __version__,
)
from .attention import Attention
from .errors import (
    CancelledError,
    Error,
    FileError,
    InvalidError,
    NumericalError,
    OutOfMemoryError,
    UsageError,
)

__all__ = [
    "Answer",
    "Attention",
    "CancelledError",
    "Error",
    "FileError",
    "InvalidError",
    "Model",
    "ModelInfo",
    "NumericalError",
    "OutOfMemoryError",
    "PortInfo",
    "TextInfo",
    "TrainResult",
    "TuneEvaluation",
    "TuneResult",
    "TuneStep",
    "UsageError",
    "__version__",
]
