"""A policy that crashes on what it sees is refused, not the end of the gate."""

from collections.abc import Mapping
from pathlib import Path

from benchmarks.gate.check import FAIL, NOT_RUN
from benchmarks.gate.planted import Adapted
from benchmarks.gate.run import Gate, GateConfig
from envs.arm import Array
from envs.collect import collect
from envs.collection import Collection
from policies.base import Policy
from policies.train import train
from policies.train_config import TrainConfig


def test_a_policy_that_raises_is_refused_with_what_it_said(tmp_path: Path) -> None:
    collect(Collection("pick_place"), 3, tmp_path / "data")
    policy = train(TrainConfig("bc", tmp_path / "data", tmp_path / "bc", preset="quick", steps=5))

    def crashing(healthy: Policy) -> Policy:
        def see(obs: Mapping[str, Array]) -> Mapping[str, Array]:
            raise TypeError("pictures must be uint8")

        return Adapted(healthy, see=see)

    config = GateConfig(policy, data=tmp_path / "data", observations=50)
    found = Gate(config, adapter=crashing).run()
    assert found.outcome == FAIL
    assert found.cause == "raises an error"
    checks = {check.name: check for check in found.checks}
    assert checks["actions"].text == "TypeError: pictures must be uint8"
    assert checks["loop"].outcome == NOT_RUN
