"""The Gymnasium environment of a tabular model (apart from the conversions, because importing Gymnasium takes a while)."""

import gymnasium
import numpy as np

from tabular_rl.models import validation as check
from tabular_rl.models.discounted import DiscountedMDP
from tabular_rl.models.finite_horizon import FiniteHorizonMDP


class TabularEnv(gymnasium.Env):
    """Samples from a FiniteHorizonMDP or DiscountedMDP; see ``to_gymnasium``."""

    metadata = {"render_modes": []}  # noqa: RUF012 (Gymnasium's own form)

    def __init__(self, mdp, max_episode_steps=None):
        self.mdp = check.kind("mdp", mdp, FiniteHorizonMDP, DiscountedMDP)
        self.observation_space = gymnasium.spaces.Discrete(mdp.n_states)
        self.action_space = gymnasium.spaces.Discrete(mdp.n_actions)
        self.initial_state_distrib = mdp.initial
        self._last = None if max_episode_steps is None else check.integer("max_episode_steps", max_episode_steps, 1)
        if isinstance(mdp, DiscountedMDP):
            self.P, self._absorbing = table_of(mdp)
        self.state, self._step = None, 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.state, self._step = self._draw(self.mdp.initial), 0
        return self.state, self._info()

    def step(self, action):
        if self.state is None:
            raise gymnasium.error.ResetNeeded("call reset() before step()")
        if not self.action_space.contains(action):
            raise ValueError(f"action must be in 0..{self.mdp.n_actions - 1}, got {check.short(action)}")
        mdp, s, h = self.mdp, self.state, self._step
        if not self._info()["action_mask"][action]:
            raise ValueError(f'action {action} does not exist in state {s}: info["action_mask"] tells which ones do')
        self._step += 1
        if isinstance(mdp, DiscountedMDP):
            weights = np.array([p for p, *_ in self.P[s][action]])
            _, self.state, reward, _ = self.P[s][action][self._draw(weights)]
            terminated = bool(self._absorbing[self.state])
        else:
            if h >= mdp.horizon:
                raise gymnasium.error.ResetNeeded(f"the episode ended after {mdp.horizon} steps: call reset()")
            self.state = self._draw(mdp.transition[h, s, action])
            reward = mdp.reward[h, s, action] if mdp.move_rewards is None else mdp.move_rewards[h, s, action, self.state]
            terminated = self._step == mdp.horizon
        truncated = self._last is not None and self._step >= self._last and not terminated
        return self.state, float(reward), terminated, truncated, self._info()

    def _info(self):
        """The step, and which actions the state has: of the last episode's end, those of the last step."""
        available = self.mdp.available
        at = available[self.state] if available.ndim == 2 else available[min(self._step, len(available) - 1), self.state]
        return {"step": self._step, "action_mask": at.astype(np.int8)}

    def _draw(self, weights):
        cumulative = np.cumsum(weights)
        return int(np.searchsorted(cumulative, cumulative[-1] * self.np_random.random(), side="right"))


def table_of(mdp):
    """The toy-text table of a discounted model, [(probability, successor, reward, terminated), ...], and which states are absorbing."""
    S, A = check.kind("mdp", mdp, DiscountedMDP, FiniteHorizonMDP="only a DiscountedMDP has one table for all steps").shape
    flat = mdp.transition if mdp.is_sparse else mdp.transition.reshape(S * A, S)

    def row(index):
        if mdp.is_sparse:
            start, end = flat.indptr[index : index + 2]
            return flat.indices[start:end], flat.data[start:end]
        successors = np.flatnonzero(flat[index])
        return successors, flat[index, successors]

    def paid(index, successors):
        if mdp.move_rewards is None:
            return np.full(len(successors), mdp.reward.flat[index])
        if mdp.is_sparse:
            return mdp.move_rewards.data[flat.indptr[index] : flat.indptr[index + 1]]
        return mdp.move_rewards[index // A, index % A, successors]

    rows = [row(index) for index in range(S * A)]
    stays = np.array([len(t) == 1 and t[0] == index // A and p[0] == 1 for index, (t, p) in enumerate(rows)]).reshape(S, A)
    absorbing = (stays & (mdp.reward == 0) | ~mdp.available).all(axis=1)
    table: dict = {s: {} for s in range(S)}
    for index in np.flatnonzero(mdp.available):
        s, a = divmod(int(index), A)
        successors, probabilities = rows[index]
        numbers = zip(probabilities, successors, paid(index, successors), strict=True)
        table[s][a] = [(float(p), int(t), float(r), bool(absorbing[t])) for p, t, r in numbers]
    return table, absorbing
