"""The main job, small: the whole chain, interrupted and continued."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from benchmarks.protocol import PROTOCOLS, EvalProtocol, make_plan, standard_conditions
from envs.errors import UsageError
from envs.tasks import TASKS
from envs.tasks.pick_place import PickPlace
from scripts import bench, chain
from scripts.bench import Bench
from scripts.chain import Chain, join, steps_done
from scripts.presets import PRESETS, SUITES, Preset

TINY = Preset(
    name="tiny",
    training="quick",
    episodes=(4, 4),
    seeds=((0,), (0,)),
    trials=2,
    conditions=("object_pose/L2",),
    minutes=((0.1, 0.1, 0.1), (0.1, 0.1, 0.1)),
    algorithms=("bc",),
    steps=20,
)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Preset:
    monkeypatch.setitem(PRESETS._items, "tiny", TINY)
    return TINY


def test_the_whole_chain_ends_with_a_page_and_then_has_nothing_to_do(
    tiny: Preset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = Bench(preset="tiny", out=tmp_path, workers=1)
    assert job.run() == 0
    assert "page: " in capsys.readouterr().out
    board = json.loads((tmp_path / "leaderboard" / "leaderboard.json").read_text())
    (table,) = board["tables"]
    assert [row["algorithm"] for row in table["rows"]] == ["bc"]
    assert {row["algorithm"] for row in table["floors"]} == {"hold", "random", "replay"}
    assert set(table["conditions"]) == {"nominal", "object_pose/L2"}
    before = (tmp_path / "leaderboard" / "index.html").read_bytes()
    assert job.run() == 0
    assert capsys.readouterr().out.count("complete already") == 4
    assert (tmp_path / "leaderboard" / "index.html").read_bytes() == before


PROGRAM = f"""
import sys
from pathlib import Path
from scripts import main
from scripts.presets import PRESETS, Preset
if __name__ == "__main__":
    PRESETS.register("tiny", {TINY!r})
    sys.exit(main.main(["bench", "--preset", "tiny", "--out", sys.argv[1], "--workers", "1"]))
"""


@pytest.mark.skipif(os.name != "posix", reason="signals as on a terminal")
def test_ctrl_c_in_training_is_one_line_and_the_next_run_goes_on(tmp_path: Path) -> None:
    program = tmp_path / "main_job.py"
    program.write_text(PROGRAM.replace("steps=20", "steps=100000"))
    out = tmp_path / "out"
    command = [sys.executable, str(program), str(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as job:
        log = out / "policies" / "bc-quick-state-0" / "log.jsonl"
        limit = time.monotonic() + 120
        while steps_done(log.parent) == 0 and job.poll() is None and time.monotonic() < limit:
            time.sleep(0.1)
        job.send_signal(signal.SIGINT)
        assert job.wait(60) == 130
        assert job.stderr is not None
        assert "completed work is kept" in job.stderr.read()
    assert Chain(TINY, out, out, "state", 1).collected()
    assert not Chain(TINY, out, out, "state", 1).trained()
    assert "interrupted" in (out / "policies" / "bc-quick-state-0.log").read_text()


def test_unknown_presets_and_workers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown preset 'huge'; known: cpu, paper, quick"):
        Bench(preset="huge", out=tmp_path).run()
    with pytest.raises(UsageError, match="workers must be at least 1, got 0"):
        Bench(out=tmp_path, workers=0).run()


@pytest.mark.parametrize("track", chain.TRACKS)
@pytest.mark.parametrize("name", list(PRESETS))
def test_every_preset_names_what_exists(name: str, track: chain.Track, tmp_path: Path) -> None:
    from policies.base import preset

    chosen = PRESETS[name]
    for task in TASKS:
        job = Chain(chosen, tmp_path, tmp_path, track, 1, task)
        protocol = PROTOCOLS[job.protocol]
        assert make_plan(protocol, track, job._conditions(), chosen.trials).trials > 0
        assert all(stage.minutes > 0 for stage in job.stages())
    for algorithm in chosen.algorithms:
        assert preset(algorithm, track, chosen.training).training.steps > 0
    job = Chain(chosen, tmp_path, tmp_path, track, 1)
    references = chosen.references[track == "pixels"]
    trained = len(chosen.algorithms) * len(chosen.seeds[track == "pixels"])
    assert len(job.checkpoints) == trained + len(references)
    named = {training.name: training for training in job.checkpoints.values()}
    for reference in references:
        found = named[reference]
        assert preset(found.algorithm, track, found.preset(chosen.training)).training.steps > 0


@pytest.fixture
def two(tiny: Preset, monkeypatch: pytest.MonkeyPatch) -> str:
    """Register a second task, the first under another name."""

    class Again(PickPlace):
        name = "again"
        inapplicable = MappingProxyType({"object_pose": "for the test"})

    monkeypatch.setitem(TASKS._items, "again", Again())
    conditions = standard_conditions(without=Again.inapplicable)
    protocol = EvalProtocol("again/v1", "again", conditions=conditions)
    monkeypatch.setitem(PROTOCOLS._items, "again/v1", protocol)
    monkeypatch.setitem(SUITES._items, "core", ("pick_place", "again"))
    return "again"


def test_a_suite_is_one_plan_with_one_leaderboard(two: str, tmp_path: Path) -> None:
    job = Bench(preset="tiny", suite="core", out=tmp_path, workers=1)
    assert job.tasks() == ("pick_place", two)
    chains = [Chain(TINY, tmp_path, tmp_path, "state", 1, task) for task in job.tasks()]
    titles = [stage.title for stage in join(chains)]
    assert titles[0] == "pick place: 4 demonstrations"
    assert titles[4] == "again: 4 demonstrations"
    assert titles[-1] == "leaderboard"
    assert titles.count("leaderboard") == 1
    assert len(titles) == 9
    assert chains[0]._conditions() == ("object_pose/L2",)
    assert chains[1]._conditions() == ("nominal",)
    assert not set(chains[0].checkpoints) & set(chains[1].checkpoints)


def test_other_tasks_are_measured_at_one_level_and_with_the_demonstrations_they_need(
    two: str, tmp_path: Path
) -> None:
    cpu = replace(PRESETS["cpu"], needed={two: 100})
    first, second = (Chain(cpu, tmp_path, tmp_path, "state", 1, t) for t in ("pick_place", two))
    assert (first.episodes, second.episodes) == (50, 100)
    assert (len(first.checkpoints), len(second.checkpoints)) == (10, 3)
    assert {name.partition("/")[2] for name in second._conditions()} == {"L2"}
    assert "object_pose/L2" not in second._conditions()
    minutes = [sum(stage.minutes for stage in chain.links()) for chain in (first, second)]
    assert minutes[1] < minutes[0] / 2


def test_more_numbers_of_demonstrations_are_chains_of_nominal_trials(tmp_path: Path) -> None:
    chains = [Chain(TINY, tmp_path, tmp_path, "state", 1, count=n) for n in (None, 3, 6)]
    assert [chain.episodes for chain in chains] == [4, 3, 6]
    assert [chain._conditions() for chain in chains[1:]] == [("nominal",)] * 2
    assert len({folder for chain in chains for folder in chain.checkpoints}) == 3
    assert len({chain.data for chain in chains}) == len({chain.page for chain in chains}) == 3
    policies = [[name for e in chain.evaluations() for name in e.policy] for chain in chains]
    assert [len(names) for names in policies] == [4, 1, 1]  # floors once
    assert len(join(chains)) == 13


def test_algorithms_are_named_instead_of_the_presets_own(tmp_path: Path) -> None:
    chosen = Bench(preset="cpu", algo=("flow", "diffusion-transformer", "flow")).chosen()
    chain = Chain(chosen, tmp_path, tmp_path, "state", 1, "pick_place")
    named = [(t.algorithm, t.preset("cpu")) for t in chain.checkpoints.values() if t.seed == 0]
    assert named == [("flow", "cpu"), ("diffusion", "cpu-transformer")]
    assert len(chain.checkpoints) == 6
    with pytest.raises(UsageError, match="unknown algorithm 'sac'; known: act"):
        Bench(algo=("sac",)).run()
    with pytest.raises(UsageError, match="unknown preset 'quick-wide' of bc on the state track"):
        Bench(algo=("bc-wide",)).run()


def test_unknown_tasks_suites_and_numbers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown task 'juggle'; known: .*pick_place"):
        Bench(task=("juggle",), out=tmp_path).run()
    with pytest.raises(UsageError, match="unknown suite 'all'; known: core, quick"):
        Bench(suite="all", out=tmp_path).run()
    with pytest.raises(UsageError, match="demonstrations must be at least 2, got 1"):
        Bench(demonstrations=(1,), out=tmp_path).run()


def test_the_plan_shows_what_is_complete(
    tiny: Preset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = Chain(tiny, tmp_path, tmp_path, "state", 1)
    job.page.parent.mkdir(parents=True)
    job.page.write_text("")
    bench._plan(job.stages(), bench.Console())
    out = capsys.readouterr().out
    assert "complete" in out.splitlines()[2]
    assert "Ctrl-C is safe" in out
