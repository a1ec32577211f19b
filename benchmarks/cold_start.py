"""``python -m benchmarks.cold_start``: the seconds that compilation costs whoever calls everything for the first time.

Every algorithm on a small problem that it plays, every planner and every ambiguity set, in one process with an empty cache; CPU seconds of
each compiled function without those that it calls (Numba's own functions are counted under theirs).
"""

import os
import tempfile
import time
from collections import defaultdict
from typing import Annotated

import typer


def first_calls():
    """(what, function without arguments) of every first call."""
    import numpy as np

    from tabular_rl import algorithms, ambiguity, instances, planning
    from tabular_rl.models import RobustMDP

    episodic, discounted = instances.random_losses(3, 4, 2, seed=1), instances.river_swim(n=4, discount=0.8)
    problems = [episodic, instances.bandit(), discounted, instances.machine_replacement()]
    problems += [instances.robust_linear.off_dynamics(), instances.submodular.tiny()]

    def first_run(kind):
        for problem in problems:
            try:
                return kind().run(problem, 4)
            except (TypeError, ValueError):
                continue
        raise ValueError(f"no problem for {kind.__name__}")

    for name in algorithms.__all__:
        if hasattr(kind := getattr(algorithms, name), "run"):
            yield name, lambda kind=kind: first_run(kind)
    for model in (episodic, discounted, instances.large_garnet(60, 3, 3)):
        yield f"solve {model!r}", lambda model=model: planning.solve(model)
        yield f"evaluate {model!r}", lambda model=model: planning.evaluate(model, model.uniform_policy)
        yield f"occupancy {model!r}", lambda model=model: planning.occupancy(model, model.uniform_policy)
    names = ("L1", "LInf", "L2", "KL", "ChiSquare", "Contamination", "SRectangularL1", "SRectangularKL", "SRectangularL2")
    sets = [getattr(ambiguity, name)(0.1) for name in names]
    for uncertain in sets:
        mdp = RobustMDP.from_mdp(discounted, uncertain)
        yield f"solve {uncertain!r}", lambda mdp=mdp: planning.solve(mdp)
        yield f"evaluate {uncertain!r}", lambda mdp=mdp: planning.robust_evaluate(mdp, np.full((4, 2), 0.5))


def cold_start(rows: Annotated[int, typer.Option(min=1, help="Functions in the table.")] = 30):
    """Print what compiles how long."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ["NUMBA_CACHE_DIR"] = cache
        from numba.core import event

        spent, running = defaultdict(float), []

        class Clock(event.Listener):
            def on_start(self, _):
                running.append([time.thread_time(), 0.0])

            def on_end(self, happened):
                start, inner = running.pop()
                function, total = happened.data["dispatcher"].py_func, time.thread_time() - start
                spent[f"{function.__module__}.{function.__name__}"] += total - inner
                if running:
                    running[-1][1] += total

        event.register("numba:compile", Clock())
        for what, call in first_calls():
            before = sum(spent.values())
            try:
                call()
            except Exception as error:
                print(f"       {what}: {error}")
            print(f"{sum(spent.values()) - before:7.2f} {what}", flush=True)
    print(f"\n{sum(spent.values()):7.1f} s in {len(spent)} functions; the longest:")
    for name in sorted(spent, key=spent.get, reverse=True)[:rows]:
        print(f"{spent[name]:7.2f} {name}")


if __name__ == "__main__":
    typer.run(cold_start)
