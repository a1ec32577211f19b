"""What a whole process costs: peak memory of a solve, import, the first solve from the cache."""

import json
import os
import subprocess
import sys

import numpy as np

from benchmarks.timing import Goal, Row, benchmark

# the resident size of a fresh process around one solve; a small solve first loads what every solve needs
MEMORY = """
import json, resource, sys, threading
import tabular_rl as trl
kind, S = sys.argv[1], int(sys.argv[2])
def make(S):
    return trl.instances.large_garnet(S, 10, branching=S) if kind == "dense" else trl.instances.large_garnet(S, 4, branching=6)
trl.planning.solve(make(20))
mdp = make(S)
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
open("/proc/self/clear_refs", "w").write("5")  # forget the peak of building the model
before = resident()
trl.planning.solve(mdp)
peak = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([peak - before, mdp.nbytes]))
"""


@benchmark([("dense", 700), ("sparse", 50_000)], tiny=[("dense", 20), ("sparse", 20)])
def memory(repeats, kind, S):
    """Memory that a solve adds to its instance at its peak, as a multiple of the instance (resident size of a process of its own)."""
    if not os.access("/proc/self/clear_refs", os.W_OK):
        return  # only Linux tells
    samples = [json.loads(_python(MEMORY, kind, str(S))) for _ in range(max(1, repeats // 3))]
    multiple = np.array([max(grown, 0) / size for grown, size in samples])
    note = f"{1 + np.median(multiple):.2f} x with the instance itself"
    job = f"memory above the instance, {kind} solve, S={S}, {samples[0][1] / 1e6:.1f} MB"
    yield Row(job, "x instance", multiple, goal=Goal("value", 1.2) if S > 100 else None, note=note)


@benchmark([()], tiny=[()])
def start(repeats):
    """CPU seconds of ``import tabular_rl``, and of a process that imports and solves, compiled code read from the cache."""
    clock = "; import time; print(time.process_time())"
    bare, importing, solving = ([], [], [])
    solve = "import tabular_rl as trl; trl.planning.solve(trl.instances.large_garnet(8, 2, branching=8))"
    for _ in range(max(1, repeats // 3)):
        for seconds, code in ((bare, "pass"), (importing, "import tabular_rl"), (solving, solve)):
            seconds.append(float(_python(code + clock)))
    yield Row("import tabular_rl", "s", np.array(importing) - np.array(bare), goal=Goal("value", 0.3))
    yield Row("import and first solve", "s", np.array(solving) - np.array(bare), goal=Goal("value", 1.5))


def _python(code, *arguments):
    # freed arrays go back to the system at once, or a peak would hide in what the allocator keeps
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True, env=environment).stdout
