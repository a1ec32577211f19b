"""Sampled episodes and the occupancy program tell the same as the linear systems."""

from importlib.util import find_spec

import numpy as np

from proofs_check import Expectation, claim, identity, theorem
from proofs_check.strategies import discounted, discounted_mdps, episodic, finite_horizon_mdps, policy
from tabular_rl.planning import linear_program, sample_episodes
from tabular_rl.planning.linear_program import SOLVER_NOISE


def _visits(P, initial, pi):
    """[H, S, A] occupancy of a policy, step by step."""
    layers, d = [], initial
    for h in range(len(pi)):
        layers.append(d[:, None] * pi[h])
        d = np.einsum("sa,sat->t", layers[-1], P[h])
    return np.array(layers)


def _one_hot(shape, *indices):
    """[n, prod shape] where the flat index of each is 1."""
    flat = np.ravel_multi_index(indices, shape)
    return (flat[:, None] == np.arange(np.prod(shape))).astype(float)


@claim("mdp.sampled-episodes", kind=Expectation(replicates=2_000, equal=True), source="docs of sample_episodes", provenance="derived",
       given={"smooth": lambda: (episodic(3, 3, 2, "smooth", 0), 1), "peaked": lambda: (episodic(4, 2, 3, "peaked", 1), 2)},
       control={"late": 1})  # fmt: skip
def sampled_episodes(mdp, seed, rng, late=0):
    """Pairs of step h are visited as often as the policy's occupancy of that step says, all h.  Control: the pairs of a step later."""
    pi, H = policy(mdp, "pi", "smooth", seed), mdp.horizon
    found = sample_episodes(mdp, pi, 1000, rng)
    seen = [_one_hot(mdp.shape[1:], found.states[:, min(h + late, H - 1)], found.actions[:, min(h + late, H - 1)]) for h in range(H)]
    return np.concatenate(seen, axis=1), _visits(mdp.transition, mdp.initial, pi).ravel(), 0.0, 1.0


@claim("mdp.sampled-walks", kind=Expectation(replicates=2_000, equal=True), source="docs of sample_episodes", provenance="derived",
       given={"smooth": lambda: (discounted(3, 2, 0.5, "smooth", 0), 1), "peaked": lambda: (discounted(3, 2, 0.9, "peaked", 1), 2)},
       control={"first": True})  # fmt: skip
def sampled_walks(mdp, seed, rng, first=False):
    """Of an episode of geometric length, step t is played with probability discount^t, and the last pair is a draw of the occupancy.

    Control: the first pair.
    """
    pi, g = policy(mdp, "pi", "smooth", seed), mdp.discount
    found = sample_episodes(mdp, pi, 1000, rng)
    last, i = 0 * found.lengths if first else found.lengths - 1, np.arange(1000)
    chain = np.einsum("sa,sat->st", pi, mdp.transition)
    d = (1 - g) * np.linalg.solve(np.eye(len(chain)) - g * chain.T, mdp.initial)
    samples = [found.lengths[:, None] > np.arange(1, 5), _one_hot(mdp.shape, found.states[i, last], found.actions[i, last])]
    return np.concatenate(samples, axis=1), np.append(g ** np.arange(1, 5), d[:, None] * pi), 0.0, 1.0


if find_spec("cvxpy"):  # an extra

    def _program(mdp, flow, discount, scaled):
        """Sides of both programs: the flow of their occupancy, its reward, and the optimal value that policy iteration finds."""
        from proofs_check.claims.foundations.solvers import howard

        found = linear_program(mdp)
        d = found.occupancy
        if discount < 1:
            optimal = mdp.initial @ howard(mdp.transition, mdp.reward, discount)
        else:
            values = np.zeros(mdp.n_states)
            for h in reversed(range(mdp.horizon)):
                values = (mdp.reward[h] + mdp.transition[h] @ values).max(axis=1)
            optimal = mdp.initial @ values
        earned = np.sum(d * mdp.reward) / (1 - discount if discount < 1 else 1)
        duals = mdp.initial @ (found.values if discount < 1 else found.values[0])
        # the accuracy of an interior point, not of float64, is what the sides have
        scale = SOLVER_NOISE * 100 / (1 - discount if discount < 1 else 1) / 3.6e-12
        lhs = np.append(d.sum(axis=-1), [earned, found.value, duals])
        return lhs, np.append(flow(d), [optimal, optimal * scaled, optimal]), scale

    @claim("mdp.program", kind=identity, source="Puterman 1994, section 6.9", provenance="classical",
           given=(discounted_mdps(),), control={"scaled": False})  # fmt: skip
    def program(mdp, scaled=True):
        """The occupancy program's value is <initial, V*>, its occupancy flows and earns it, and so do its duals.  Control: half of it."""
        inflow = lambda d: (1 - mdp.discount) * mdp.initial + mdp.discount * np.einsum("sa,sat->t", d, mdp.transition)
        return _program(mdp, inflow, mdp.discount, 1.0 if scaled else 0.5)

    @claim("mdp.program-episodic", kind=identity, source="Puterman 1994, section 4.4", provenance="classical",
           given=(finite_horizon_mdps(),), control={"scaled": False})  # fmt: skip
    def program_episodic(mdp, scaled=True):
        """The same over H layers.  Control: half of the value."""
        inflow = lambda d: np.concatenate([mdp.initial[None], np.einsum("hsa,hsat->ht", d[:-1], mdp.transition[:-1])])
        return _program(mdp, inflow, 1.0, 1.0 if scaled else 0.5)


theorem(
    "occupancy-measures",
    statement=r"The measures with the flow of an occupancy are the occupancies of policies, "
    r"$\max \langle d, r \rangle / (1-\gamma) = V^*(\rho)$ over them, and an episode that goes on with probability $\gamma$ after "
    r"each step ends in a draw of $d^\pi_\rho$.",
    source="Puterman 1994, sections 4.4 and 6.9",
    provenance="classical",
    claims=("mdp.sampled-episodes", "mdp.sampled-walks", *(("mdp.program", "mdp.program-episodic") if find_spec("cvxpy") else ())),
)
