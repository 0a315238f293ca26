"""Running the programs that measure, for bench/compare."""

import json
import os
import subprocess
import time


class Failed(Exception):
    """A program that should have measured did not."""


def output_of(command, environment=None):
    """Its standard output; `environment`: variables beside those of this process."""
    try:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False,
                              env={**os.environ, **(environment or {})})
    except OSError as error:
        raise Failed(f"{command[0]}: {error.strerror}") from error
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Failed(f"{command[0]} ended with {done.returncode}: {last}")
    return done.stdout


def json_of(command, environment=None):
    """What it prints, in JSON: a value, or a line of its own among others."""
    output = output_of(command, environment)
    for text in (output, *output.splitlines()[::-1]):
        try:
            return json.loads(text)
        except ValueError:
            continue
    raise Failed(f"{command[0]} printed no JSON")


def run_once(command):
    """Milliseconds until the process has ended, and the largest memory it had, in MiB."""
    begin = time.perf_counter()
    try:
        child = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    except OSError as error:
        raise Failed(f"{command[0]}: {error.strerror}") from error
    _, status, usage = os.wait4(child.pid, 0)
    spent = time.perf_counter() - begin
    child.returncode = os.waitstatus_to_exitcode(status)  # it has been waited for
    if child.returncode != 0:
        raise Failed(f"{command[0]} ended with {child.returncode}")
    return 1e3 * spent, usage.ru_maxrss / 1024
