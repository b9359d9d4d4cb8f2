"""The half of ``perf.gail`` that needs the ``imitation`` library and Stable-Baselines3."""

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from imitation.algorithms.adversarial.gail import GAIL
from imitation.algorithms.bc import BC
from imitation.data.types import Transitions
from imitation.rewards.reward_nets import BasicRewardNet
from imitation.util.logger import configure
from imitation.util.networks import RunningNorm
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor, nn

from envs.arm import Array
from perf.gail import Bench, Trained
from policies.gail import BOUND, JUDGED
from policies.gail_rollout import Generator
from policies.ppo import NORM

RATE = 3e-5
"""Learning rate of the library's PPO: about what ours, which adapts, settles on."""


class Simulations(VecEnv):  # type: ignore[misc]  # the library is not installed where types are checked
    """Our simulations as Stable-Baselines3 sees them: whole episodes of one length.

    An observation is the normalised vectors and the flag of the absorbing state (N, width + 1).
    """

    def __init__(self, generator: Generator) -> None:
        """Step ``generator``; each reset goes to new starts."""
        self.generator, self._rolled, self._clock = generator, 0, 0
        width, n = generator.spec.width + 1, generator.spec.n
        seen = spaces.Box(-np.inf, np.inf, (width,), np.float32)
        super().__init__(generator.sims.size, seen, spaces.Box(-BOUND, BOUND, (n,), np.float32))

    def _seen(self) -> Array:
        vectors, ended = self.generator.seen()
        seen: Array = torch.cat([vectors.clamp(-BOUND, BOUND), ended[:, None]], dim=-1).numpy()
        return seen

    def reset(self) -> Array:
        """Go to new starts."""
        self.generator.begin(self._rolled)
        self._rolled, self._clock = self._rolled + 1, 0
        return self._seen()

    def step_async(self, actions: Array) -> None:
        """Keep what is to be done."""
        self._actions = actions

    def step_wait(self) -> tuple[Array, Array, Array, list[dict[str, Any]]]:
        """Do it; at the horizon all begin anew, and what was seen last is in the info."""
        self.generator.act(torch.from_numpy(np.asarray(self._actions, np.float32)))
        self._clock += 1
        seen, count = self._seen(), self.num_envs
        over = self._clock == self.generator.sims.horizon
        infos: list[dict[str, Any]] = [{} for _ in range(count)]
        if over:
            infos = [{"terminal_observation": row, "TimeLimit.truncated": True} for row in seen]
            seen = self.reset()
        return seen, np.zeros(count, np.float32), np.full(count, over), infos

    def close(self) -> None:
        """Nothing is open."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:  # noqa: ANN401
        """Return nothing for what the library asks of an environment, such as its render mode."""
        return [None] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:  # noqa: ANN401
        """Nothing can be set."""

    def env_method(self, method_name: str, *args: Any, **named: Any) -> list[Any]:  # noqa: ANN401
        """Nothing can be called."""
        return [None] * self.num_envs

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> Sequence[bool]:  # noqa: ANN401
        """None is."""
        return [False] * self.num_envs


def transitions(steps: Tensor, width: int, real: bool) -> Transitions:
    """Return demonstrated steps (episodes, horizon, width + n) as the library has them.

    Args:
        steps: observation of ``width``, flag included, and action.
        width: of an observation.
        real: leave the absorbing state out.
    """
    seen, after = steps[:, :-1, :width], steps[:, 1:, :width]
    kept = (seen[..., -1] == 0) | (not real)
    columns = (seen[kept], steps[:, :-1, width:][kept], after[kept])
    obs, acts, following = (np.ascontiguousarray(column.numpy()) for column in columns)
    infos = np.array([{}] * len(obs))
    return Transitions(obs, acts, infos, following, np.zeros(len(obs), bool))


def imitation(bench: Bench) -> Trained:
    """Train by the library's behaviour cloning and GAIL, with our settings where it has them."""
    settings, training = bench.settings, bench.preset.training
    generator = bench.generator(settings.episodes)
    venv, horizon = Simulations(generator), generator.sims.horizon
    steps = bench.expert(generator)
    width, quiet = generator.spec.width + 1, configure(None, [])
    steps[..., :width].clamp_(-BOUND, BOUND)
    shape = {
        "net_arch": {"pi": list(settings.hidden), "vf": list(settings.hidden)},
        "activation_fn": nn.Tanh,
        "log_std_init": math.log(settings.spread),
    }
    learner = PPO(
        "MlpPolicy", venv, learning_rate=RATE, n_steps=horizon,
        batch_size=settings.minibatch, n_epochs=settings.epochs, gamma=settings.discount,
        gae_lambda=settings.trace, clip_range=settings.clip, ent_coef=settings.entropy,
        max_grad_norm=NORM, target_kl=settings.kl, policy_kwargs=shape, seed=0, device="cpu",
    )  # fmt: skip
    rng, begun = np.random.default_rng(0), time.process_time()
    cloning = BC(
        observation_space=venv.observation_space, action_space=venv.action_space, rng=rng,
        policy=learner.policy, demonstrations=transitions(steps, width, real=True),
        batch_size=training.batch, optimizer_kwargs={"lr": training.lr}, custom_logger=quiet,
        device="cpu",
    )  # fmt: skip
    cloning.train(n_batches=settings.warm, progress_bar=False)
    with torch.no_grad():  # cloning shrinks it to nothing
        learner.policy.log_std.fill_(math.log(settings.spread))
    cloned = time.process_time() - begun
    judge = BasicRewardNet(
        venv.observation_space, venv.action_space, hid_sizes=settings.judge,
        normalize_input_layer=RunningNorm,
    )  # fmt: skip
    trainer = GAIL(
        demonstrations=transitions(steps, width, real=False), demo_batch_size=JUDGED, venv=venv,
        gen_algo=learner, reward_net=judge, n_disc_updates_per_round=settings.judged,
        disc_opt_kwargs={"lr": settings.judge_lr}, custom_logger=quiet,
    )  # fmt: skip
    rewards, unit = trainer.venv_wrapped, 1 - settings.discount  # values of order 1, as ours
    rewards.reward_fn = lambda *step: unit * trainer.reward_train.predict_processed(*step)
    begun = time.process_time()
    trainer.train(bench.rounds * horizon * settings.episodes)
    rounds = time.process_time() - begun

    def mean(seen: Tensor, ended: Tensor) -> Tensor:
        both = torch.cat([seen.clamp(-BOUND, BOUND), ended[:, None]], dim=-1)
        actions, _ = learner.predict(both.numpy(), deterministic=True)
        return torch.from_numpy(actions)

    return Trained(mean, cloned, rounds)
