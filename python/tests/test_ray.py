"""attn.ray on a cluster of two nodes: every row once, also where an actor is killed in the middle."""

import os
import pathlib
import signal
import subprocess
import sys

import pytest

if not os.environ.get("CI"):  # which installs it, and runs every test
    pytest.importorskip("ray", reason="ray is optional: pip install attn[ray]")
import ray  # noqa: E402

import attn  # noqa: E402
import attn.ray  # noqa: E402
import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.json  # noqa: E402
import pyarrow.parquet  # noqa: E402
from ray.cluster_utils import Cluster  # noqa: E402

PYTHON = pathlib.Path(__file__).resolve().parent.parent
ROWS, FILES = 480, 4
ROWS_OF_A_BLOCK = 20  # 24 blocks: enough of them to be in the middle

# this file is not installed where the actors look for modules
ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])


@pytest.fixture(scope="module")
def cluster():
    """A head that only leads, and two nodes, each with a CPU for an actor and one for reading and writing."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    for _ in range(2):
        cluster.add_node(num_cpus=2)
    ray.init(address=cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.fixture
def texts():
    words = "the pink elephant tried to get into the car but it was too large".split()
    return [" ".join(words[i % 7 : i % 7 + 1 + i % 6]) for i in range(ROWS)]


@pytest.fixture
def corpus(tmp_path, texts):
    """The texts as Parquet files."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for file in range(FILES):
        ids = list(range(file * ROWS // FILES, (file + 1) * ROWS // FILES))
        pa.parquet.write_table(pa.table({"id": ids, "text": [texts[i] for i in ids]}), folder / f"{file}.parquet")
    return str(folder)


class Witness(attn.ray.Embedder):
    """An Embedder that writes down what it was given, and dies once, unasked, in the middle."""

    def __init__(self, model, column, output, options):
        super().__init__(model, column, output, {})
        self.folder = pathlib.Path(options["folder"])

    def __call__(self, batch):
        with open(self.folder / f"{os.getpid()}.seen", "a") as seen:
            seen.write("".join(f"{i}\n" for i in batch["id"].to_pylist()))
        all_seen = list(self.folder.glob("*.seen"))
        if len(all_seen) == 2 and sum(len(file.read_text().split()) for file in all_seen) > ROWS // 3:
            try:
                (self.folder / "killed").touch(exist_ok=False)
            except FileExistsError:
                pass  # the other one is dying
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(batch)


def test_every_row_comes_out_once_where_an_actor_is_killed(cluster, tmp_path, tiny_bert, texts, corpus):
    (tmp_path / "witness").mkdir()
    model = str(tiny_bert)
    rows = attn.ray.map_texts(
        ray.data.read_parquet(corpus).repartition(target_num_rows_per_block=ROWS_OF_A_BLOCK),
        Witness,
        model,
        column="text",
        output="embedding",
        actors=2,
        batch_size=ROWS_OF_A_BLOCK,
        options={"folder": str(tmp_path / "witness")},
    )
    rows.write_parquet(str(tmp_path / "out"))

    seen = {file.stem: file.read_text().split() for file in (tmp_path / "witness").glob("*.seen")}
    assert (tmp_path / "witness" / "killed").exists()
    assert len(seen) >= 3  # two, and the one that was started again
    given = sum(len(ids) for ids in seen.values())
    assert given > ROWS  # what the dead one had was given to another

    table = pa.parquet.read_table(tmp_path / "out")
    assert sorted(table["id"].to_pylist()) == list(range(ROWS))
    by_id = dict(zip(table["id"].to_pylist(), table["embedding"].to_pylist(), strict=True))
    expected = attn.Model.open(model, threads=1).embed(texts)
    # a batch's products may take other kernels than all rows together
    np.testing.assert_allclose([by_id[i] for i in range(ROWS)], expected, atol=1e-5)


def test_the_example_reads_jsonl_and_writes_parquet(cluster, tmp_path, tiny_llama):
    prompts = ["the cat", "a model learns", "what is"]
    lines = tmp_path / "prompts.jsonl"
    lines.write_text("".join(f'{{"id": {i}, "prompt": "{prompt}"}}\n' for i, prompt in enumerate(prompts)))
    example = PYTHON / "examples" / "ray_dataset.py"
    command = [sys.executable, example, "generate", tiny_llama, lines, tmp_path / "out", "--column", "prompt"]
    subprocess.run(
        [*command, "--max-tokens", "5"],
        check=True,
        env={**os.environ, "RAY_ADDRESS": cluster.address},
        timeout=300,
    )
    table = pa.parquet.read_table(tmp_path / "out").sort_by("id")
    alone = attn.Model.open(tiny_llama, threads=1)
    expected = ["".join(alone.generate(prompt, max_tokens=5, temperature=0)) for prompt in prompts]
    assert table["prompt"].to_pylist() == prompts
    assert table["answer"].to_pylist() == expected


def test_an_actor_takes_the_cpus_it_was_given(cluster):
    @ray.remote(num_cpus=2)
    class Actor:
        def threads(self):
            return attn.ray.actor_threads()

    assert ray.get(Actor.remote().threads.remote()) == 2


def test_wrong_columns_are_named(cluster, tiny_bert):
    model = str(tiny_bert)
    rows = ray.data.from_items([{"text": "a cat"}])
    with pytest.raises(Exception, match="no column 'body' in the dataset, which has"):
        attn.ray.embed(rows, model, column="body").take_all()
    with pytest.raises(Exception, match="has a column 'text' already"):
        attn.ray.embed(rows, model, output="text").take_all()
    nothing = ray.data.from_arrow(pa.table({"text": pa.array(["a cat", None])}))
    with pytest.raises(Exception, match="row 1 of a batch is None, not a text"):
        attn.ray.embed(nothing, model).take_all()
