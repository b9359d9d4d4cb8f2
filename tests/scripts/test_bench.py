"""The main job, small: the whole chain, interrupted and continued."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from envs.errors import UsageError
from scripts import bench, chain
from scripts.bench import Bench
from scripts.chain import Chain, steps_done
from scripts.presets import PRESETS, Preset

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
    from benchmarks.protocol import PROTOCOLS, make_plan
    from policies.base import preset

    chosen = PRESETS[name]
    protocol = PROTOCOLS[chain.PROTOCOL]
    assert make_plan(protocol, track, chosen.conditions, chosen.trials).trials > 0
    for algorithm in chosen.algorithms:
        assert preset(algorithm, track, chosen.training).training.steps > 0
    job = Chain(chosen, tmp_path, tmp_path, track, 1)
    assert len(job.checkpoints) == len(chosen.algorithms) * len(chosen.seeds[track == "pixels"])


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
