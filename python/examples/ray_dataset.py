#!/usr/bin/env python3
"""Embeds the texts of a Parquet or JSONL dataset, or answers its prompts, on a Ray cluster.

    ray_dataset.py embed MODEL IN OUT [--column text] [--actors 2] [--cpus 1]
    ray_dataset.py generate MODEL IN OUT --column prompt --max-tokens 64

IN is a file or a folder, local or wherever else Ray can read (s3://, gs://, hdfs://); OUT becomes a
folder of Parquet files with the dataset's columns and one more. MODEL is a path that every node can
read. Without a cluster Ray starts one on this machine; RAY_ADDRESS names another.
"""

import argparse
import sys

import attn.ray
import ray


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=["embed", "generate"])
    parser.add_argument("model")
    parser.add_argument("input", metavar="IN")
    parser.add_argument("output", metavar="OUT")
    parser.add_argument("--column", default="text", help="the texts' column (text)")
    parser.add_argument("--actors", type=int, default=1, help="how many models work side by side (1)")
    parser.add_argument("--cpus", type=int, default=1, help="of each, which are its threads (1)")
    parser.add_argument("--batch-size", type=int, default=64, help="rows an actor gets at a time (64)")
    parser.add_argument("--max-tokens", type=int, default=64, help="of an answer (64)")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    read = ray.data.read_json if given.input.endswith((".jsonl", ".json")) else ray.data.read_parquet
    # Ray joins small files and does not cut large ones: blocks of a few batches keep every actor busy
    rows = read(given.input).repartition(target_num_rows_per_block=4 * given.batch_size)
    how = {
        "column": given.column,
        "actors": given.actors,
        "cpus": given.cpus,
        "batch_size": given.batch_size,
    }
    if given.task == "embed":
        result = attn.ray.embed(rows, given.model, **how)
    else:
        # the likeliest words: the same ones if a block has to be done again
        options = {"temperature": 0}
        result = attn.ray.generate(rows, given.model, max_tokens=given.max_tokens, options=options, **how)
    result.write_parquet(given.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
