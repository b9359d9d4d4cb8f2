"""The gate lets a healthy policy through, says what is wrong with a broken one, and signs it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.gate import defects, live, loop, planted
from benchmarks.gate.check import (
    FAIL,
    INCOMPLETE,
    NAMES,
    NOT_RUN,
    PASS,
    Check,
    failed,
    outcome_of,
    passed,
)
from benchmarks.gate.live import Thresholds, check_recorded, check_success, perturbed_cells
from benchmarks.gate.recorded import Recorded, answers
from benchmarks.gate.run import Gate, GateConfig, Passage, write_verdict
from benchmarks.gate.twin import OnTwin
from benchmarks.gate.verdict import Use, read_verdict, require_verdict
from benchmarks.protocol import PROTOCOLS
from benchmarks.report.gate_page import write_gate
from envs.collect import collect
from envs.collection import Collection
from envs.errors import UsageError
from envs.robots import ROBOTS
from policies.checkpoint import load_checkpoint
from policies.train import train
from policies.train_config import TrainConfig
from real.safe_arm import StoppedError
from real.verdict import BLOCKED

ARM = ROBOTS["viperx"].spec()


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> defects.Healthy:
    """A small behaviour cloning that fits its five demonstrations."""
    folder = tmp_path_factory.mktemp("gate")
    collect(Collection("pick_place"), 5, folder / "data")
    config = TrainConfig("bc", folder / "data", folder / "bc", preset="quick", steps=400, batch=64)
    config = replace(config, validation=0.0)
    return defects.Healthy.load(train(config), folder / "data")


def look(healthy: defects.Healthy, broken: planted.Broken) -> Passage:
    """Run the checks that move nothing."""
    config = GateConfig(broken.folder, trials=1, perturbed=1, observations=200, timed=1, busy=0)
    gate = Gate(config, adapter=broken.adapter, data=healthy.data)
    checks: list[Check] = []
    loaded = gate._load(checks.append)
    if loaded is not None:
        gate._static(loaded, checks.append)
    from benchmarks.gate.run import cause_of

    return Passage(outcome_of(tuple(checks)), cause_of(tuple(checks)), tuple(checks), 0.0)


def test_what_moves_nothing_passes_a_healthy_policy(healthy: defects.Healthy):
    found = look(healthy, planted.Broken(healthy.folder))
    assert [(c.name, c.outcome, c.cause) for c in found.checks] == [
        (name, PASS, "") for name in ("artefact", "statistics", "canary", "actions", "recorded")
    ]


FAST = [
    d
    for d in (*defects.SPECIFIED, *defects.SAID, *defects.SEEN)
    if d.name
    not in ("weights rounded too coarsely", "chunks at half the rate", "chunks in reverse",
            "noise of 0.15 rad", "NaN after 100 predictions", "stale chunk",
            "sees two joints swapped")
]  # fmt: skip
"""Chunks of one action have no order; a behaviour cloning on five demonstrations no closed loop."""


@pytest.mark.parametrize("defect", FAST, ids=lambda d: d.name)
def test_a_planted_defect_is_refused_for_the_right_cause(
    healthy: defects.Healthy, defect: defects.Defect, tmp_path: Path
):
    broken = defect.plant(healthy.folder, tmp_path / "broken")
    found = look(healthy, broken)
    assert found.outcome == FAIL
    assert found.cause.startswith(defect.causes), found.checks[-1].evidence


def test_the_set_of_defects_is_large_and_each_has_a_name_of_its_own():
    names = [d.name for d in defects.DEFECTS]
    assert len(names) >= 30
    assert len(set(names)) == len(names)


def test_a_policy_that_fails_after_a_while_is_refused(healthy: defects.Healthy):
    policy = planted.NanLater(load_checkpoint(healthy.folder))
    gate = Gate(GateConfig(healthy.folder, observations=1000), data=healthy.data)
    checks: list[Check] = []
    gate._load(checks.append)
    from benchmarks.gate.recorded import record_of

    recorded = record_of(healthy.data, gate.learned)
    assert check_recorded(policy, ARM, recorded).cause == "not finite"
    assert check_recorded(gate.learned, ARM, recorded).outcome == PASS
    far = planted.Adapted(gate.learned, say=lambda chunk, obs: 3 * chunk)
    assert check_recorded(far, ARM, recorded).cause == "outside the joint limits"


def test_without_demonstrations_or_a_twin_the_verdict_is_incomplete(healthy: defects.Healthy):
    loose = Thresholds(nominal=0.0, perturbed=0.0, contact_n=1e6)
    config = GateConfig(healthy.folder, trials=1, perturbed=1, limits=loose)
    found = Gate(config).run()
    assert found.outcome == INCOMPLETE
    assert {c.name for c in found.checks if c.outcome == NOT_RUN} == {
        "statistics", "actions", "recorded", "latency", "loop",
    }  # fmt: skip


def test_a_success_rate_counts_by_its_lower_bound():
    def trial(success: bool) -> dict:
        return {
            "success": success, "failure": None if success else "drift", "reason": None,
            "quality": {"contact_peak_n": 1.0}, "key": {"condition": "nominal", "ic": 0},
        }  # fmt: skip

    trials = [trial(True)] * 18 + [trial(False)] * 2
    assert check_success("nominal", trials, Thresholds(nominal=0.7)).outcome == PASS  # .717
    check = check_success("nominal", trials, Thresholds(nominal=0.75))
    assert (check.outcome, check.cause) == (FAIL, "too few successes")
    heavy = [{**t, "quality": {"contact_peak_n": 500.0}} for t in trials]
    assert check_success("nominal", heavy, Thresholds(nominal=0.1)).cause == "presses on the table"


def test_changed_scenes_are_every_axis_in_turns_and_none_twice():
    protocol = PROTOCOLS["pick_place/v1"]
    cells = perturbed_cells(protocol, "state", 20)
    assert len(set(cells)) == 20
    assert {name.split("/")[1] for name, _ in cells} == {"L1"}
    assert not any(name.startswith("control/") for name, _ in cells)


class Table:
    """An arm that stays where it is told to be and tells what it clamps."""

    spec = ARM

    def __init__(self, task: str = "pick_place", force: float = 0.0, stop: int = 10**9) -> None:
        self.force, self.left, self.closed = force, stop, False

    def _seen(self) -> dict[str, np.ndarray]:
        poses = {f"objects/{k}": np.array(v, np.float32) for k, v in self.start.objects.items()}
        return {"qpos": self.at.astype(np.float32), **poses}

    def home(self, start):
        self.start, self.at = start, np.array(start.qpos)
        return self._seen()

    def command(self, target):
        self.left -= 1
        if self.left < 0:
            raise StoppedError(BLOCKED, "the elbow lags")
        self.at = self.spec.clamp(target, self.at)
        return self._seen()

    def observe(self):
        return self._seen()

    def contact_n(self) -> float:
        return self.force

    def close(self) -> None:
        self.closed = True


class Sway:
    """Asks for a slow sway about home, ``wild`` for jumps."""

    name = "sway"

    def __init__(self, spec, wild: float = 0.0) -> None:
        self.spec = replace(spec, chunk=1, execute=1)
        self.wild, self.t = wild, 0

    def reset(self, instructions, seeds) -> None:
        self.t = 0

    def act(self, obs):
        self.t += 1
        sway = 0.2 * np.sin(self.t / 40) + self.wild * (-1) ** self.t
        return (np.array(ARM.home) + sway * (np.arange(7) == 0))[None, None].astype(np.float32)


def drive(healthy: defects.Healthy, wild: float = 0.0, **arm) -> Check:
    spec = load_checkpoint(healthy.folder).spec
    protocol = PROTOCOLS["pick_place/v1"]
    policy = Sway(spec, wild)
    execution = live.Execution(1)
    return loop.check_loop(lambda spec: Table(**arm), policy, protocol, execution, Thresholds(), 1)


def test_the_loop_takes_any_arm_and_judges_what_it_did(healthy: defects.Healthy):
    assert drive(healthy).outcome == PASS
    assert drive(healthy, wild=0.5).cause == "clamped too often"
    assert drive(healthy, force=500.0).cause == "presses on the table"
    assert drive(healthy, stop=20).cause == "stopped by the safety chain"


def test_the_twin_is_driven_through_drivers_and_safety_chain(healthy: defects.Healthy):
    spec = load_checkpoint(healthy.folder).spec
    once = (PROTOCOLS["pick_place/v1"], live.Execution(1), Thresholds(), 1)
    calm, wild = (loop.check_loop(OnTwin, Sway(spec, much), *once) for much in (0.0, 0.5))
    assert (calm.outcome, calm.evidence["clamped"]) == (PASS, 0)
    assert wild.cause in ("clamped too often", "stopped by the safety chain")


def test_without_a_twin_the_loop_is_not_run(healthy: defects.Healthy):
    protocol, execution = PROTOCOLS["pick_place/v1"], live.Execution(1)
    policy = load_checkpoint(healthy.folder)
    found = loop.check_loop(None, policy, protocol, execution, Thresholds())
    assert (found.outcome, found.cause) == (NOT_RUN, "")


@pytest.fixture
def verdict(healthy: defects.Healthy, tmp_path: Path):
    """Write a verdict of a given outcome; return its path and the policy's folder."""

    def make(outcome: str = PASS, key: Path | None = None) -> tuple[Path, Path]:
        folder = tmp_path / "policy"
        if not folder.exists():
            shutil.copytree(healthy.folder, folder)
        checks = tuple(passed(name, "fine") for name in NAMES)
        if outcome == FAIL:
            checks = (*checks[:-1], failed("loop", "clamped too often", "half"))
        calibration = tmp_path / "calibration.json"
        calibration.write_text("{}")
        config = GateConfig(folder, calibration=calibration)
        passage = Passage(outcome_of(checks), "", checks, 1.0)
        path = write_verdict(passage, config, tmp_path / "gate", key)
        write_gate(passage, config, tmp_path / "gate", path)
        return path, folder

    return make


def test_a_passing_verdict_lets_exactly_its_inputs_move_an_arm(verdict, tmp_path: Path):
    path, folder = verdict()
    calibration = tmp_path / "calibration.json"
    permission = require_verdict(path, Use(folder, "viperx", calibration))
    assert permission.verdict == read_verdict(path)["sha256"]
    assert (tmp_path / "gate" / "index.html").read_text().count("fine") == len(NAMES)


def test_a_verdict_of_another_artefact_robot_or_calibration_is_refused(verdict, tmp_path: Path):
    path, folder = verdict()
    calibration, other = tmp_path / "calibration.json", tmp_path / "other"
    shutil.copytree(folder, other)
    provenance = json.loads((other / "provenance.json").read_text())
    (other / "provenance.json").write_text(json.dumps({**provenance, "seed": 99}))
    with pytest.raises(UsageError, match=r"not of .*other: another artefact"):
        require_verdict(path, Use(other, "viperx", calibration))
    with pytest.raises(UsageError, match="of robot 'viperx'"):
        require_verdict(path, Use(folder, "koch", calibration))
    calibration.write_text('{"moved": 1}')
    with pytest.raises(UsageError, match="another calibration"):
        require_verdict(path, Use(folder, "viperx", calibration))
    with pytest.raises(UsageError, match="another calibration"):
        require_verdict(path, Use(folder, "viperx"))


def test_a_stale_verdict_is_refused(verdict, tmp_path: Path, monkeypatch):
    path, folder = verdict()
    calibration = tmp_path / "calibration.json"
    made = read_verdict(path)["made"]
    monkeypatch.setattr("benchmarks.gate.verdict.time.time", lambda: made + 40 * 86400)
    with pytest.raises(UsageError, match="stale verdict: it is 40 days old"):
        require_verdict(path, Use(folder, "viperx", calibration))
    monkeypatch.undo()
    edited = replace(PROTOCOLS["pick_place/v1"], alpha=0.01)
    monkeypatch.setattr("benchmarks.gate.verdict.PROTOCOLS", {"pick_place/v1": edited})
    with pytest.raises(UsageError, match="stale verdict: protocol pick_place/v1 has changed"):
        require_verdict(path, Use(folder, "viperx", calibration))


def test_a_failed_an_edited_and_an_absent_verdict_are_refused(verdict, tmp_path: Path):
    path, folder = verdict(FAIL)
    calibration = tmp_path / "calibration.json"
    with pytest.raises(UsageError, match="the verdict is 'fail', not 'pass'"):
        require_verdict(path, Use(folder, "viperx", calibration))
    path.write_bytes(
        path.read_bytes().replace(b'"outcome":"fail","schema"', b'"outcome":"pass","schema"')
    )
    with pytest.raises(UsageError, match="was edited after it was written"):
        require_verdict(path, Use(folder, "viperx", calibration))
    with pytest.raises(UsageError, match="there is no verdict"):
        require_verdict(tmp_path / "none.json", Use(folder, "viperx", calibration))
    path.write_text("[]")
    with pytest.raises(UsageError, match="is no verdict"):
        require_verdict(path, Use(folder, "viperx", calibration))


def test_a_signed_verdict_needs_its_key(verdict, tmp_path: Path):
    key, other = tmp_path / "key", tmp_path / "other-key"
    key.write_text("a secret\n")
    other.write_text("another\n")
    path, folder = verdict(key=key)
    calibration = tmp_path / "calibration.json"
    assert require_verdict(path, Use(folder, "viperx", calibration), key).verdict
    with pytest.raises(UsageError, match="is not signed with this key"):
        require_verdict(path, Use(folder, "viperx", calibration), other)


def test_an_override_gives_its_reason_and_the_problem_to_the_records(verdict, tmp_path: Path):
    path, folder = verdict(FAIL)
    found = require_verdict(path, Use(folder, "viperx"), override="measuring the failure itself")
    assert found.verdict == ""
    assert found.to_json()["override"] == "measuring the failure itself"
    assert "not 'pass'" in found.problem
    with pytest.raises(UsageError):
        require_verdict(path, Use(folder, "viperx"), override="  ")


def test_only_a_whole_pass_is_a_pass():
    every = tuple(passed(name, "fine") for name in NAMES)
    assert outcome_of(every) == PASS
    assert outcome_of(every[:-1]) == INCOMPLETE
    assert outcome_of(every[::-1]) == INCOMPLETE


def test_bad_wishes_are_refused(healthy: defects.Healthy):
    with pytest.raises(UsageError, match="is for viperx, not koch"):
        GateConfig(healthy.folder, robot="koch")
    with pytest.raises(UsageError, match="trials must be at least 1"):
        GateConfig(healthy.folder, trials=0)
    with pytest.raises(UsageError, match="unknown protocol"):
        GateConfig(healthy.folder, "nowhere/v1")


def test_answers_do_not_depend_on_how_many_are_asked_together(healthy: defects.Healthy):
    from benchmarks.gate.recorded import record_of

    policy = load_checkpoint(healthy.folder)
    recorded = record_of(healthy.data, policy, 60)
    assert isinstance(recorded, Recorded)
    some = recorded.part(np.arange(50, 60))
    assert np.allclose(answers(policy, recorded)[50:], answers(policy, some), atol=1e-5)
