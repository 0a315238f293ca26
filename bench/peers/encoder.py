"""Times one encoder of ONNX Runtime or OpenVINO, for bench/compare: a JSON object on stdout.
usage: encoder.py onnxruntime|openvino f32|bf16 MODEL.onnx THREADS TEXTS TOKENS RUNS
TOKENS of each text, or 5..200 for texts of several lengths, padded to the longest. A run is a whole
inference, its input handed over and its result taken; all positions but padding are attended."""

import json
import random
import statistics
import sys
import time

import numpy


def onnxruntime_run(model, threads):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda inputs: session.run(None, inputs)


def openvino_run(model, threads, precision):
    import openvino

    request = openvino.Core().compile_model(model, "CPU", {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY",
    }).create_infer_request()
    return request.infer


def peak_bytes():
    with open("/proc/self/status", encoding="ascii") as status:
        return 1024 * next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


def text_lengths(texts, tokens):
    """As attn-bench spreads them, in an arbitrary order that is always the same."""
    shortest, _, longest = tokens.rpartition("..")
    shortest, longest = int(shortest or longest), int(longest)
    steps, span = max(texts - 1, 1), longest - shortest
    lengths = [shortest + (2 * i * span + steps) // (2 * steps) for i in range(texts)]
    random.Random(1).shuffle(lengths)
    return numpy.array(lengths)


def main(engine, precision, model, threads, texts, tokens, runs):
    lengths = text_lengths(int(texts), tokens)
    mask = (numpy.arange(lengths.max()) < lengths[:, None]).astype(numpy.int64)
    # [PAD] is 0
    ids = numpy.random.default_rng(0).integers(1000, 30000, mask.shape).astype(numpy.int64) * mask
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": numpy.zeros_like(ids)}
    __import__(engine)  # what an interpreter takes to start is not the engine's
    begin = time.perf_counter()
    run = (onnxruntime_run(model, int(threads)) if engine == "onnxruntime"
           else openvino_run(model, int(threads), precision))
    run(inputs)
    first = time.perf_counter() - begin
    run(inputs)
    seconds = []
    for _ in range(int(runs)):
        begin = time.perf_counter()
        run(inputs)
        seconds.append(time.perf_counter() - begin)
    print(json.dumps({"first_seconds": first, "median_seconds": statistics.median(seconds),
                      "peak_bytes": peak_bytes()}))


main(*sys.argv[1:])
