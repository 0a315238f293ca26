"""Embed or generate over a Ray Data dataset, with one model per actor.

    import attn.ray, ray

    texts = ray.data.read_parquet("s3://corpus/texts")
    attn.ray.embed(texts, "/models/all-MiniLM-L6-v2", actors=8, cpus=4).write_parquet("s3://corpus/vectors")

Ray (`pip install attn[ray]`) does what an engine does: it places actors, feeds them, holds the
reader back where they are slower, restarts an actor that died and repeats the blocks it had not
delivered, so that every row comes out once. An actor opens the model when it starts and uses as many
threads as Ray gave it CPUs. docs/scaling.md says what limits this on many nodes.

This module needs ray; attn itself does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa  # type: ignore[import-untyped]
import ray

from attn import Model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ray.data import Dataset

__all__ = ["Embedder", "Generator", "TextMapper", "embed", "generate", "map_texts"]


def actor_threads() -> int:
    """The CPUs that Ray gave this actor, as a number of threads: at least 1."""
    resources = ray.get_runtime_context().get_assigned_resources()  # type: ignore[no-untyped-call]
    return max(1, int(resources.get("CPU", 1)))


class TextMapper:
    """What an actor does with a batch: reads the column `column`, adds the column `output`.

    A subclass says in `results` what the new column holds. The model's path is opened on the
    actor's node; a file that is missing there fails the actor's start, with the path.
    """

    def __init__(self, model: str, column: str, output: str, options: Mapping[str, Any]) -> None:
        self.model = Model.open(model, threads=actor_threads())
        self.column = column
        self.output = output
        self.options = dict(options)

    def results(self, texts: list[str]) -> pa.Array:
        """One value a text, in their order."""
        raise NotImplementedError

    def __call__(self, batch: pa.Table) -> pa.Table:
        if self.column not in batch.column_names:
            raise ValueError(f"no column {self.column!r} in the dataset, which has {batch.column_names}")
        if self.output in batch.column_names:
            raise ValueError(f"the dataset has a column {self.output!r} already; choose another `output`")
        texts = batch[self.column].to_pylist()
        for row, text in enumerate(texts):
            if not isinstance(text, str):
                raise ValueError(f"column {self.column!r}: row {row} of a batch is {text!r}, not a text")
        return batch.append_column(self.output, self.results(texts))


class Embedder(TextMapper):
    """Adds an embedding a row, as a list of float32 of the model's width."""

    def results(self, texts: list[str]) -> pa.Array:
        vectors = self.model.embed(texts, **self.options)
        return pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1])


class Generator(TextMapper):
    """Adds what the model writes after each row's text."""

    def results(self, texts: list[str]) -> pa.Array:
        return pa.array(["".join(self.model.generate(text, **self.options)) for text in texts], pa.string())


def map_texts(
    dataset: Dataset,
    mapper: type[TextMapper],
    model: str,
    *,
    column: str,
    output: str,
    actors: int | tuple[int, int] = 1,
    cpus: int = 1,
    batch_size: int = 64,
    options: Mapping[str, Any] | None = None,
    **ray_remote_args: Any,
) -> Dataset:
    """The dataset with the column `output` that `mapper` makes of `column`. Lazy, as Ray Data is.

    actors: how many, or the fewest and the most, between which Ray scales. cpus: of each, and so
    its threads. batch_size: rows that an actor gets at a time, at most; what is lost and repeated
    when an actor dies is the block they came in. options: of Model.embed or Model.generate.
    ray_remote_args: what else Ray should know of the actors (memory, resources, max_restarts, ...).
    """
    if isinstance(actors, int):
        pool = ray.data.ActorPoolStrategy(size=actors)
    else:
        pool = ray.data.ActorPoolStrategy(min_size=actors[0], max_size=actors[1])
    return dataset.map_batches(
        mapper,
        fn_constructor_kwargs={"model": model, "column": column, "output": output, "options": options or {}},
        compute=pool,
        num_cpus=cpus,
        batch_size=batch_size,
        batch_format="pyarrow",
        **ray_remote_args,
    )


def embed(
    dataset: Dataset, model: str, *, column: str = "text", output: str = "embedding", **how: Any
) -> Dataset:
    """The dataset with an embedding of each text; `how` is map_texts()'s."""
    return map_texts(dataset, Embedder, model, column=column, output=output, **how)


def generate(
    dataset: Dataset,
    model: str,
    *,
    column: str = "prompt",
    output: str = "answer",
    max_tokens: int = 256,
    options: Mapping[str, Any] | None = None,
    **how: Any,
) -> Dataset:
    """The dataset with what the model writes after each prompt; `how` is map_texts()'s."""
    options = {"max_tokens": max_tokens, **(options or {})}
    return map_texts(dataset, Generator, model, column=column, output=output, options=options, **how)
