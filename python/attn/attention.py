"""Where tokens look: the weights as an array, which draws itself in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import numpy as np
import numpy.typing as npt

from . import _picture
from .errors import UsageError

__all__ = ["Attention"]


class Attention:
    """Attention weights of one text, [layers, heads, queries, keys], rows summing to 1.

    `Model.attention()` gives one; what `Model.run()` gives of a teaching model goes in as it is:
    `Attention(model.run({"x": x})["attention_weights"])`, of shape [keys], [queries, keys] or
    [heads, queries, keys].

    weights: float32. labels: what the keys are called; queries are called the same where there are as
    many, else where `query_labels` says so. tokens: the ids, where there are any. layers, heads: the
    numbers of what stands in the first two dimensions.
    """

    def __init__(
        self,
        weights: npt.ArrayLike,
        labels: Optional[Sequence[str]] = None,
        *,
        query_labels: Optional[Sequence[str]] = None,
        tokens: Sequence[int] = (),
        layers: Optional[Sequence[int]] = None,
        heads: Optional[Sequence[int]] = None,
    ) -> None:
        array = np.asarray(weights, dtype=np.float32)
        if not 1 <= array.ndim <= 4 or array.size == 0:
            raise UsageError(f"attention weights of shape {list(array.shape)}, not [layers, heads, queries, keys]")
        self.weights: npt.NDArray[np.float32] = array.reshape((1,) * (4 - array.ndim) + array.shape)
        layer_count, head_count, queries, keys = self.weights.shape
        self.labels = list(labels) if labels is not None else [str(i) for i in range(keys)]
        if query_labels is None:
            query_labels = self.labels if queries == keys else [str(i) for i in range(queries)]
        self.query_labels = list(query_labels)
        self.tokens = list(tokens)
        self.layers = list(layers) if layers is not None else list(range(layer_count))
        self.heads = list(heads) if heads is not None else list(range(head_count))
        for name, given, wanted in (
            ("labels", self.labels, keys),
            ("query_labels", self.query_labels, queries),
            ("layers", self.layers, layer_count),
            ("heads", self.heads, head_count),
        ):
            if len(given) != wanted:
                raise UsageError(f"{name}: {len(given)} of them, and weights of shape {list(array.shape)}")

    def select(self, layer: Optional[int] = None, head: Optional[int] = None) -> Attention:
        """The part of one layer, one head, or both, by their numbers."""
        rows = range(len(self.layers)) if layer is None else [self._index("layer", self.layers, layer)]
        columns = range(len(self.heads)) if head is None else [self._index("head", self.heads, head)]
        return Attention(
            self.weights[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1],
            self.labels,
            query_labels=self.query_labels,
            tokens=self.tokens,
            layers=[self.layers[i] for i in rows],
            heads=[self.heads[i] for i in columns],
        )

    @staticmethod
    def _index(name: str, known: list[int], wanted: int) -> int:
        if wanted not in known:
            raise UsageError(f"{name} {wanted} is not among {', '.join(map(str, known))}")
        return known.index(wanted)

    def __repr__(self) -> str:
        layers, heads, queries, keys = self.weights.shape
        return f"<attn.Attention layers={layers} heads={heads} queries={queries} keys={keys}>"

    def to_svg(self) -> str:
        """The picture: one map with its labels, or all maps side by side on one scale."""
        return _picture.svg(self)

    def _repr_html_(self) -> str:
        return f'<div style="max-width:100%;overflow-x:auto">{self.to_svg()}</div>'
