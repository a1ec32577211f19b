"""Loss processes (adversaries): what is charged, episode by episode.

Each function turns an episodic MDP into an ``AdversarialMDP``. Where a table of mean losses is needed and none is given, it is
1 - reward, so that regret in losses is regret in rewards. Visited losses are seen as 0/1 draws with the stated means unless
``bernoulli=False``, also those of a plain model that is given to a learner. The worlds are oblivious (fixed before the run) except
``anti_greedy`` and ``corrupted``, which look at the policy about to be played. Sources: bobw spec, section 7.0 (W1, W3, W4, W5); dapo
spec, sections 7.2 and 7.3.
"""

import numpy as np

from tabular_rl.models import AdversarialMDP, FiniteHorizonMDP
from tabular_rl.models import validation as check
from tabular_rl.models.adversarial import losses_of

__all__ = ["anti_greedy", "block", "corrupted", "drifting", "periodic", "phases", "recorded", "stochastic", "switching"]


def stochastic(mdp, means=None, bernoulli=True):
    """The same mean losses in every episode (W1). ``means`` [H, S, A] in [0, 1]."""
    return _world(mdp, _means(mdp, means)[None], "constant", (), bernoulli)


def periodic(mdp, tables, period, offset=0, bernoulli=True):
    """``tables`` [M, H, S, A] in turn, each for ``period`` episodes: episode k sees table (k + offset) // period modulo M."""
    period, offset = check.integer("period", period, 1), check.integer("offset", offset, 0)
    return _world(mdp, tables, "periodic", (period, offset), bernoulli)


def switching(mdp, period, means=None, bernoulli=True):
    """``means`` for ``period`` episodes, then 1 - means, and so on; with period = K/2 the switch of the dapo spec 7.2."""
    means = _means(mdp, means)
    return periodic(mdp, np.stack([means, 1 - means]), period, bernoulli=bernoulli)


def drifting(mdp, period, means=None, bernoulli=True):
    """Means 1/2 + (means - 1/2) cos(2 pi k / period): they swing to their mirror image and back."""
    period = check.integer("period", period, 1)
    return _world(mdp, _means(mdp, means)[None], "drifting", (period,), bernoulli)


def phases(mdp, means=None, ratio=1.6, bernoulli=True):
    """W3: half the means, plus a level 0.55 that jumps in and out in phases whose lengths grow by ``ratio`` > 1. The gaps stay (halved)."""
    ratio, half = check.number("ratio", ratio, above=1), 0.5 * _means(mdp, means)
    if half.max() > 0.45:
        raise ValueError(f"means must be at most 0.9 in this world, got {2 * half.max()}")
    return _world(mdp, np.stack([half, half + 0.55]), "phases", (ratio,), bernoulli)


def anti_greedy(mdp):
    """W4, adaptive: loss 1 on the action that the policy likes best in each (h, s) (ties: lowest index), 0 on the others."""
    return _world(mdp, np.zeros((1, *_episodic(mdp).shape)), "anti_greedy", (np.inf,))


def corrupted(mdp, episodes, means=None, bernoulli=True):
    """W5: ``anti_greedy`` in the first ``episodes`` episodes, ``stochastic`` afterwards."""
    episodes = check.integer("episodes", episodes, 0)
    return _world(mdp, _means(mdp, means)[None], "anti_greedy", (episodes,), bernoulli)


def block(mdp, length, seed=0):
    """Blocks of ``length`` episodes: in each block, step and state a fair bit x of the ``seed``; loss x for action 0, 1 - x for the others.

    With A = 2 and feedback delayed by length - 1 episodes every learner suffers H / 2 per episode: the square-root-forcing
    adversary of the dapo spec, section 7.3.
    """
    length, seed = check.integer("length", length, 1), check.integer("seed", seed, 0, None)
    if seed >= 2**53:
        raise ValueError(f"seed must be below 2**53, got {seed}")
    return _world(mdp, np.zeros((1, *_episodic(mdp).shape)), "block", (length, seed))


def recorded(mdp, losses, bernoulli=False):
    """Given losses [K, H, S, A] in [0, 1], one table per episode (they start over after K)."""
    return periodic(mdp, losses, 1, bernoulli=bernoulli)


def _world(mdp, tables, schedule, parameters, bernoulli=True):
    return AdversarialMDP(_episodic(mdp).transition, mdp.initial, tables, schedule, parameters, bernoulli, mdp.packed_available)


def _episodic(mdp):
    """The episodic model that a world is made of; the losses of one that has some do not matter."""
    return check.kind("mdp", mdp, FiniteHorizonMDP, AdversarialMDP)


def _means(mdp, means):
    if means is not None:
        shape = _episodic(mdp).shape
        means = check.real_array("means", means, shape, finite=mdp.has_all_actions)
        return means if mdp.has_all_actions else check.check_finite("means", np.where(mdp.available, means, 0.0))
    if isinstance(_episodic(mdp), AdversarialMDP):
        raise TypeError("means are needed: mdp is an AdversarialMDP, which has no rewards that losses could be made of")
    return losses_of(mdp)
