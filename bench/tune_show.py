#!/usr/bin/env python3
"""What tuning does, shown on real models within a few minutes.

SmolLM2 learns a made-up dialect, and two of its heads to look at words of size; MiniLM learns which
sentences are alike by a rule of our own. All data is made here, from a fixed seed. Files stay in the
output folder: data, adapters, pages, and report.json. The exit code is 1 if something that is claimed
does not hold.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import sys

from peers.process import Failed
from tuned import parts
from tuned.programs import Programs

ROOT = pathlib.Path(__file__).resolve().parent.parent


def model_folder():
    """Of bench/compare's peers, else where `tools/dev models` puts them."""
    if "PEERS" in os.environ:
        return pathlib.Path(os.environ["PEERS"], "models")
    return pathlib.Path(os.environ.get("ATTN_MODELS") or pathlib.Path.home() / ".cache/attn/models")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=pathlib.Path, default=model_folder(), metavar="FOLDER",
                        help="of the two models ($PEERS/models, $ATTN_MODELS or ~/.cache/attn/models)")
    parser.add_argument("--language-model", type=pathlib.Path, metavar="FILE",
                        help="instead of FOLDER/smollm2-135m-instruct.Q4_1.gguf")
    parser.add_argument("--encoder", type=pathlib.Path, metavar="PATH", help="instead of FOLDER/all-minilm-l6-v2")
    parser.add_argument("-o", "--output", type=pathlib.Path, default=ROOT / "build/tune_show", metavar="FOLDER",
                        help="build/tune_show")
    parser.add_argument("-t", "--threads", type=int, default=2, metavar="N", help="2")
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/release/bin", metavar="FOLDER",
                        help="where attn-tune and attn-run are (build/release/bin)")
    parser.add_argument("--quick", action="store_true", help="fewer updates and texts, the same claims")
    parser.add_argument("--json", action="store_true", help="print report.json instead of text")
    return parser.parse_args()


def text_of(part):
    claims = [f"{'holds' if held else 'FAILS'}: {claim}" for claim, held in part.claims.items()]
    return "\n".join([f"{part.title}  ({part.seconds:.1f} s)",
                      *(f"  {line}" for line in [*part.lines, *claims, *(f"$ {each}" for each in part.commands)])])


def main():
    options = arguments()
    options.output.mkdir(parents=True, exist_ok=True)
    language = options.language_model or options.models / "smollm2-135m-instruct.Q4_1.gguf"
    encoder = options.encoder or options.models / "all-minilm-l6-v2"
    for model in (language, encoder):
        if not model.exists():
            sys.exit(f"tune_show: {model} is absent: see --models, or run tools/dev models")
    found = {}
    for model, made in ((language, parts.LANGUAGE), (encoder, parts.ENCODER)):
        programs = Programs(options.bin, model, options.output, options.threads)
        for make in made:
            part = make(programs, options.quick)
            found[make.__name__] = dataclasses.asdict(part)
            if not options.json:
                print(text_of(part), end="\n\n", flush=True)
    report = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
    (options.output / "report.json").write_text(report, encoding="utf-8")
    if options.json:
        print(report, end="")
    return 0 if all(held for part in found.values() for held in part["claims"].values()) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        sys.exit(f"tune_show: {failure}")
    except KeyboardInterrupt:
        sys.exit(130)
