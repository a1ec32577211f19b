"""Learners and simulators: CPU time per episode and per step."""

import tabular_rl as trl
from benchmarks import peers
from benchmarks.timing import Goal, Row, benchmark, race


@benchmark([(5, 20, 2000)], tiny=[(2, 3, 20)])
def ucbvi(repeats, n, H, episodes):
    """UCBVI on a grid, counts shared by all steps, a new plan for every episode; ours also keeps the exact regret."""
    mdp = trl.instances.gridworld(n, horizon=H)
    P, loss = mdp.packed_transition[0], 1 - mdp.packed_reward[0]
    learner, world = trl.algorithms.UCBVI(share_steps=True), trl.losses.stochastic(mdp, bernoulli=False)
    seconds = race(
        {"ours": lambda: learner.run(world, episodes), "theirs": lambda: peers.ucbvi(P, loss, 0, H, episodes, seed=0)},
        repeats,
    )
    S, A = loss.shape
    moved = 8 * H * S * A * S
    yield Row(
        f"UCBVI, S={S} A={A} H={H}", "us per episode", seconds["ours"] * 1e6 / episodes,
        "NumPy, one careful loop", seconds["theirs"] * 1e6 / episodes, Goal("faster", 25), moved,
    )  # fmt: skip


@benchmark([("known", 20_000, 6.0), ("unknown", 5_000, None)], tiny=[("known", 20, None), ("unknown", 20, None)])
def dilated_bonus_po(repeats, transition, episodes, goal):
    """Policy optimization on the small instance of the experiments, H = S = 3, A = 2."""
    world = trl.losses.stochastic(trl.instances.delay_instance(), bernoulli=False)
    learner = trl.algorithms.DilatedBonusPO(transition=transition)
    seconds = race({"ours": lambda: learner.run(world, episodes)}, repeats)["ours"]
    job = f"DilatedBonusPO, transition {transition}, H=3 S=3 A=2"
    yield Row(job, "us per episode", seconds * 1e6 / episodes, goal=goal and Goal("value", goal))


@benchmark([("known", 20_000), ("known", 200_000), ("unknown", 5_000)], tiny=[("known", 20), ("unknown", 20)])
def dapo(repeats, transition, episodes):
    """Delay-adapted policy optimization on the small instance, every delay 5; the cost of an episode does not grow with their number."""
    mdp, delay = trl.instances.delay_instance(), trl.delays.fixed(5)
    problem = trl.delays.delayed(trl.losses.stochastic(mdp, bernoulli=False), delay)
    learner, few = trl.algorithms.DAPO(transition=transition), min(episodes, 200)
    jobs = {"ours": lambda: learner.run(problem, episodes)}
    if transition == "known":
        eta, gamma, c, _ = learner.resolve(mdp.shape, few, problem.schedule(few))
        jobs["theirs"] = lambda: peers.dapo(mdp.transition, 1 - mdp.reward, mdp.initial, delay.sequence(few), eta, gamma, c, seed=0)
    seconds = race(jobs, repeats)
    ours, job = seconds["ours"] * 1e6 / episodes, f"DAPO, transition {transition}, H=3 S=3 A=2, {episodes} episodes"
    yield Row(job, "us per episode", ours, goal=Goal("value", 4.0 if transition == "known" else 60.0))
    if "theirs" in seconds:
        yield Row(job, "us per episode", ours, "NumPy, one careful loop", seconds["theirs"] * 1e6 / few, Goal("faster", 50))


@benchmark([(5, 20, 50_000)], tiny=[(2, 3, 20)])
def sample_episodes(repeats, n, H, episodes):
    """Episodes of a fixed policy in a known model, from alias tables (made anew in every call)."""
    mdp = trl.instances.gridworld(n, horizon=H)
    policy = trl.planning.solve(mdp).policy
    seconds = race({"ours": lambda: trl.planning.sample_episodes(mdp, policy, episodes)}, repeats)["ours"]
    yield Row(f"sample_episodes, S={n * n} A=4 H={H}", "ns per step", seconds * 1e9 / (episodes * H))
