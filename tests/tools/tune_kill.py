"""attn-tune killed with SIGKILL at random moments, again and again: every checkpoint that is there is
complete, and a run that was killed however often ends in the bytes of one that never was.

tune_kill.py [KILLS [SEED]], with ATTN_TUNE and ATTN_TEST_DATA in the environment."""

import hashlib
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import time

TUNE = os.environ["ATTN_TUNE"]
LLAMA = pathlib.Path(os.environ["ATTN_TEST_DATA"], "tiny-llama")
STEPS = 60


class Run:
    """A run on the tiny llama that writes a checkpoint after every update, in a folder of its own."""

    def __init__(self, folder, method):
        self.folder = folder
        self.kills = 0
        self.method = [method, *(["--rank", "64"] if method == "--lora" else [])]  # more to write
        folder.mkdir()
        data = ({"tokens": [(7 * i + 3 * k) % 256 for k in range(8)]} for i in range(10))
        (folder / "data.jsonl").write_text("".join(json.dumps(each) + "\n" for each in data))

    def command(self, *more, out="out", steps=STEPS):
        return [TUNE, str(LLAMA), "--task", "lm", *self.method, "--data", "data.jsonl", "-o", out,
                "--steps", str(steps), "--batch-size", "2", "--eval-split", "0.2", "--eval-every",
                "10", "--lr", "0.003", "--threads", "2", "--json", *more]

    def finish(self, *more, **changes):
        """The result of a run to its end."""
        done = subprocess.run(self.command(*more, **changes), cwd=self.folder, capture_output=True,
                              timeout=120)
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)

    def written(self):
        """What OUT holds, by name."""
        out = self.folder / "out"
        if not out.exists():
            return {}
        files = sorted(out.iterdir()) if out.is_dir() else [out]
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files
                if ".attn-" not in path.name}

    def checkpoints(self):
        return sorted((self.folder / "out.checkpoints").glob("step-*.safetensors"))

    def logged_steps(self):
        """Updates that the log tells of, the line that was being written left out."""
        try:
            lines = (self.folder / "log.jsonl").read_text().split("\n")[:-1]
        except FileNotFoundError:
            return 0
        return max((json.loads(line)["step"] for line in lines if "loss" in line), default=0)


class Kills:
    def __init__(self, folder, method, draw):
        whole = Run(folder / f"whole{method}", method)
        began = time.monotonic()
        self.result = whole.finish("--checkpoint-every", "1")
        self.seconds = time.monotonic() - began
        self.files = whole.written()
        assert self.files
        self.folder, self.method, self.draw = folder, method, draw
        self.kills = self.in_writes = self.chains = self.checked = 0
        self.times = []

    def chain(self, most):
        """A run, killed until it comes to its end by itself, and at most so often."""
        run = Run(self.folder / f"killed{self.method}-{self.chains}", self.method)
        self.chains += 1
        for _ in range(most):
            if not self.kill(run):
                break
        # to the end from where it is, if there is anything
        result = run.finish("--checkpoint-every", "1", *(["--resume"] if run.checkpoints() else []))
        assert result["losses"] == self.result["losses"], "losses differ"
        for key in ("evaluation_before", "evaluation_after"):
            assert result[key] == self.result[key], key
        assert run.written() == self.files, "what was written differs"
        left = list((run.folder / "out.checkpoints").glob(".attn-*"))
        assert not left, left
        shutil.rmtree(run.folder)

    def kill(self, run):
        """False if the run ended first."""
        resume = ["--resume"] if run.checkpoints() else []
        process = subprocess.Popen(
            run.command("--checkpoint-every", "1", "--log", "log.jsonl", *resume), cwd=run.folder,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        delay = self.draw.uniform(0, self.seconds)
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.kill()
        err = process.communicate()[1].decode()
        if process.returncode == 0:
            return False
        assert process.returncode == -9, err
        self.kills += 1
        run.kills += 1
        self.times.append(delay)
        self.in_writes += any((run.folder / "out.checkpoints").glob(".attn-*"))
        self.inspect(run)
        return True

    def inspect(self, run):
        checkpoints = run.checkpoints()
        steps = [int(path.stem[len("step-"):]) for path in checkpoints]
        # two, and for each kill one that was to go: the next checkpoint that is written whole takes them all along
        assert len(steps) <= 2 + run.kills, steps
        logged = run.logged_steps()
        if logged > 1:  # the checkpoint of the update before stands
            assert max(steps, default=0) >= logged - 1, (steps, logged)
        for name, content in run.written().items():
            assert content == self.files[name], name
        for step, path in zip(steps, checkpoints):
            alone = run.folder / "alone.checkpoints"
            alone.mkdir()
            shutil.copy(path, alone)
            result = run.finish("--resume", out="alone", steps=step)
            assert result["losses"] == self.result["losses"][:step], step
            self.checked += 1
            for left in (alone, run.folder / "alone"):
                shutil.rmtree(left) if left.is_dir() else left.unlink()

    def report(self):
        mean = 1000 * sum(self.times) / max(1, len(self.times))
        return (f"{self.method}: {self.kills} kills, {self.in_writes} inside the write of a checkpoint, "
                f"{mean:.0f} ms after the start on average (a run takes {1000 * self.seconds:.0f} ms); "
                f"{self.checked} checkpoints complete, {self.chains} runs ended in the same bytes")


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(2**32)
    print(f"seed {seed}", flush=True)
    draw = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        for method in ("--lora", "--full"):
            kills = Kills(pathlib.Path(folder), method, draw)
            while kills.kills < count / 2:
                kills.chain(draw.randint(1, 4))
            print(kills.report(), flush=True)


main()
