"""DR-RPO: CPU time per episode, small and large; it may not grow with the number of episodes."""

import numpy as np

from benchmarks.timing import Goal, Row, benchmark, race
from tabular_rl.algorithms import DRRPO
from tabular_rl.instances import robust_linear


@benchmark([("river_swim", 10_000), ("off_dynamics", 10_000), ("american_put", 2_000)], tiny=[("river_swim", 20)])
def dr_rpo(repeats, name, episodes):
    """The instances of the experiments: a plan in every episode, evaluated exactly in every tenth, or a plan when a determinant doubles."""
    mdp = getattr(robust_linear, name)()
    goal = Goal("value", 50.0) if name == "river_swim" else None  # 2e4 episodes per second
    for job, learner in {"plan in every episode": DRRPO(), "rare plans": DRRPO(rare=True, evaluate_every=10**6)}.items():
        seconds = race({"ours": lambda learner=learner: learner.run(mdp, episodes)}, repeats)["ours"]
        yield Row(f"DR-RPO, {name}, {job}", "us per episode", seconds * 1e6 / episodes, goal=goal)


@benchmark([(10_000,), (100_000,)], tiny=[(40,)])
def dr_rpo_flat(repeats, episodes):
    """d = 32, H = 10, S = 20, A = 4: an episode among many costs what it does among few, as no sum over past episodes is ever formed."""
    mdp, learner = robust_linear.random_linear(20, 4, 32, 10), DRRPO(evaluate_every=10**6)
    few = max(episodes // 10, 10) if episodes < 1000 else 1000
    repeats = repeats if episodes < 100_000 else min(repeats, 5)  # ten seconds each
    seconds = race({"ours": lambda: learner.run(mdp, episodes), "theirs": lambda: learner.run(mdp, few)}, repeats)
    ours, theirs = (np.asarray(seconds[side]) * 1e6 / n for side, n in (("ours", episodes), ("theirs", few)))
    yield Row(f"DR-RPO, {episodes} episodes", "us per episode", ours, f"{few} episodes", theirs, Goal("overhead", 1.1))
