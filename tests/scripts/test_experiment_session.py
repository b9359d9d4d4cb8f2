"""`experiment sim2real --real`: from recordings on an arm over blind sessions to the table.

Every component is the real one: recorder, trainings, lock, session, seals. The arm is the hardware
twin, or, where outcomes are wanted that no policy of three gradient steps has, a stand-in that
succeeds where the test says so.
"""

import contextlib
import csv
import io
import itertools
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.experiment import Ask, Result
from benchmarks.experiment_run import Place, lines
from benchmarks.experiment_sessions import Tried, read_sessions
from benchmarks.experiments import EXPERIMENTS
from benchmarks.gate.check import PASS, Check
from benchmarks.gate.run import Gate, GateConfig
from benchmarks.recordings import read_recordings
from benchmarks.report.experiment_page import write_experiment
from benchmarks.session.closing import read_closed
from benchmarks.session.lock import Driver, Terms, artefact_of, make_lock
from benchmarks.session.opening import open_session
from benchmarks.stats import cell_interval
from envs.errors import UsageError
from envs.tasks import TASKS
from policies.checkpoint import load_checkpoint
from scripts.experiment_arm import next_steps
from scripts.main import load, main
from tests.benchmarks.made_checkpoint import make_checkpoint
from tests.benchmarks.session.stand_in import MADE, StandIn, finish, held, lock_session
from tests.test_layout import ROOT

pytest.importorskip(
    "dynamixel_easy_sdk",
    reason="dynamixel-sdk is not installed: pip install 'armtrials[dynamixel]'",
)
ASKED = EXPERIMENTS["sim2real"].arm
CUT = ("--algo", "bc", "--steps", "3", "--pretrain", "2", "--at", "0", "1", "2")
PLAIN, VARIED, ALONE = "simulation, then arm", "randomised simulation, then arm", "arm alone"


def said_by(*words: str) -> str:
    """Run a command that succeeds; return what it prints."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(list(words)) == 0
    return out.getvalue()


@dataclass(frozen=True)
class Trained:
    """Recordings, and the folder of what was trained on them."""

    data: Path
    out: Path

    @property
    def ask(self) -> Ask:
        return Ask(
            "pick_place", steps=3, pretrain=2, algos=("bc",), at=("0", "1", "2"),
            real=read_recordings(self.data),
        )  # fmt: skip

    @property
    def place(self) -> Place:
        return Place(self.out, self.out)

    @property
    def policies(self) -> dict[tuple[str, float], str]:
        """Checkpoint folders by series and M."""
        cells = ASKED.grid(self.ask)
        return {(c.series, float(c.x)): str(c.fit.folder(self.out)) for c in cells}

    @property
    def command(self) -> list[str]:
        real = ["--real", str(self.data), "--out", str(self.out)]
        return ["experiment", "sim2real", *real, *CUT, "--workers", "1"]

    @property
    def page(self) -> Path:
        return self.out / "sim2real-arm-pick_place"

    def read(self, *folders: Path) -> Tried:
        return read_sessions(ASKED, self.ask, self.place, folders)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Two episodes recorded on the twin, and the policies of eight cells."""
    root = tmp_path_factory.mktemp("arm")
    data, out = root / "data", root / "out"
    record = ["record", "--twin", "--script", "--clock", "own", "--episodes", "2", "--out", data]
    command = [sys.executable, "-m", "scripts.main", *map(str, record)]  # it listens to its keys
    subprocess.run(command, cwd=ROOT, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    made = Trained(data, out)
    said_by(*made.command)
    return made


def test_after_training_it_says_what_to_do_and_doing_so_fills_the_table(
    trained: Trained, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.setattr(type(TASKS["pick_place"]), "horizon", 20)  # nobody can do it so fast
    shutil.rmtree(trained.page, ignore_errors=True)
    told = said_by(*trained.command, "--trials", "1")
    told = told.replace(str(trained.page / "session"), str(tmp_path / "session"))
    about = json.loads((trained.page / "experiment.json").read_text())
    assert (about["tried"], about["worlds"], len(about["cells"])) == (0, [], 8)
    assert "trained, not tried" in (trained.page / "index.html").read_text()
    lock, run, again = [shlex.split(x)[1:] for x in told.split("\n") if x[:2] == "  "][-3:]
    assert sorted(lock[lock.index("--policy") + 1 :][:8]) == sorted(trained.policies.values())
    said_by(*lock)
    assert main(again) == 2
    assert "is not closed: its codes are not resolved yet" in capfd.readouterr().err
    said_by(*run)
    said = said_by(*again)
    about = json.loads((trained.page / "experiment.json").read_text())
    assert (about["worlds"], about["tried"], about["trials"]) == (["twin"], 8, 1)
    assert [c["n"] for c in about["cells"]] == [1] * 8
    closed = read_closed(tmp_path / "session")
    assert sum(c["k"] for c in about["cells"]) == sum(
        t.labels.success for t in closed.trials if t.counted and t.labels
    )
    assert [(c["N"], c["M"]) for c in about["cells"]] == [
        (2, 0), (2, 0), (0, 1), (2, 1), (2, 1), (0, 2), (2, 2), (2, 2),
    ]  # fmt: skip
    assert (about["sessions"][0]["lock"], about["sessions"][0]["world"]) == (
        closed.lock["hash"], "twin",
    )  # fmt: skip
    assert "twin" not in "".join(c["series"] for c in about["cells"])
    assert (trained.page / "experiment.png").read_bytes()[:4] == b"\x89PNG"
    assert "session session, twin" in said
    before = (trained.page / "experiment.json").read_bytes()
    assert "is kept" in said_by(*trained.command)
    assert (trained.page / "experiment.json").read_bytes() == before


def test_a_training_is_of_the_recordings_and_is_not_made_twice(trained: Trained) -> None:
    first = read_recordings(trained.data).first(1)
    policy = load_checkpoint(Path(trained.policies[ALONE, 1.0]))
    assert policy.provenance["data"]["fingerprint"] == first.sha256
    assert policy.spec.arm == "viperx"
    before = {p: p.stat().st_mtime_ns for p in (trained.out / "policies").rglob("*")}
    said_by(*trained.command)
    assert {p: p.stat().st_mtime_ns for p in (trained.out / "policies").rglob("*")} == before


Wins = Callable[[str, int], bool]


def session(
    folder: Path,
    policies: Sequence[str],
    wins: Wins,
    world: str = "real",
    blocks: int = 4,
    *,
    void: int | None = None,
    execute: int | None = None,
    **reach: str,
) -> Path:
    """Make a closed session of policies that succeed so; attempt number ``void`` is void."""
    terms = Terms(
        folder.name, world, "pick_place/v1", "viperx", blocks, alpha=1e-9, share=0.0,
        reach=reach, results=str(folder / "evaluations"), execution={"execute": execute},
    )  # fmt: skip
    drivers = [
        Driver(f"zebra{i}", source, artefact_of(source), override="a test")
        for i, source in enumerate(policies)
    ]
    make_lock(folder, terms, drivers, MADE, salt="5a17")
    opened = open_session(folder)
    arm = StandIn(opened, wins=lambda arm, ic: wins(opened.key.drivers[arm].source, ic))
    lost = [""] * void + ["motor lost"] if void is not None else []
    arm.voids = itertools.chain(lost, itertools.repeat(""))
    with held(folder, rig=arm) as running:
        finish(running)
    return folder


def by_key(results: Sequence[Result]) -> dict[tuple[str, float], Result]:
    return {(r.cell.series, float(r.cell.x)): r for r in results}


def test_the_table_is_what_the_sessions_saw(trained: Trained, tmp_path: Path) -> None:
    policies = trained.policies
    won = {
        policies[ALONE, 1.0]: {0}, policies[PLAIN, 1.0]: {0, 1, 3}, policies[PLAIN, 0.0]: {2, 3},
        policies[VARIED, 0.0]: {0, 1, 2, 3},
    }  # fmt: skip
    folder = session(tmp_path / "s", list(won), lambda policy, ic: ic in won[policy], void=1)
    tried = trained.read(folder)
    found = by_key(tried.results)
    assert {key: (r.k, r.n) for key, r in found.items() if r.tried} == {
        (ALONE, 1.0): (1, 4), (PLAIN, 1.0): (3, 4), (PLAIN, 0.0): (2, 4), (VARIED, 0.0): (4, 4),
    }  # fmt: skip
    assert tried.sessions[0]["void"] == 1
    one = found[PLAIN, 1.0]
    limits = cell_interval(3, 4)
    assert (one.low, one.high, one.world) == (limits.low, limits.high, "real")
    assert one.diff == pytest.approx(0.5)
    assert found[VARIED, 1.0].diff is None
    page = write_experiment(tried.told_by(ASKED), trained.ask, tried.results, tmp_path, "command")
    about = json.loads((tmp_path / "experiment.json").read_text())
    assert about["worlds"] == ["real"]
    (table,) = about["tables"]
    assert table["title"] == "Success on the arm (real)"
    assert [row[:3] for row in table["rows"]] == [
        ["off", "50% (15% to 85%)", "75% (30% to 95%)"],
        ["on", "100% (40% to 100%)", "not tried"],
    ]
    assert table["heads"] == [
        "randomisation",
        "no fine-tuning",
        "fine-tuned on 1",
        "fine-tuned on 2",
    ]
    text = page.read_text()
    assert text.count("not tried") >= 4
    assert "pick place, real: up to 4 trials a cell" in text
    rows = list(csv.DictReader((tmp_path / "experiment.csv").read_text().splitlines()))
    assert [row["success"] for row in rows if row["n"] == "0"] == [""] * 4
    assert {row["world"] for row in rows} == {"real", ""}


def test_sessions_add_up_and_only_trials_of_one_session_are_a_pair(
    trained: Trained, tmp_path: Path
) -> None:
    policies = trained.policies
    alone, plain, varied = (policies[name, 1.0] for name in (ALONE, PLAIN, VARIED))
    first = session(tmp_path / "a", [alone, plain], lambda policy, ic: policy == plain)
    second = session(tmp_path / "b", [plain, varied], lambda policy, ic: False, blocks=3)
    found = by_key(trained.read(first, second).results)
    assert (found[PLAIN, 1.0].k, found[PLAIN, 1.0].n) == (4, 7)
    assert found[PLAIN, 1.0].diff == pytest.approx(1.0)  # of the first session alone
    assert found[PLAIN, 1.0].run.count("runs/pick_place_v1/") == 2
    assert (found[VARIED, 1.0].n, found[VARIED, 1.0].diff) == (3, None)
    (row,) = [r for r in lines(list(found.values())) if (r["series"], r["x"]) == (PLAIN, 1.0)]
    assert (row["k"], row["n"], row["world"]) == (4, 7, "real")


def test_a_policy_of_no_cell_is_named_and_left_out(trained: Trained, tmp_path: Path) -> None:
    folder = session(
        tmp_path / "s", [trained.policies[ALONE, 2.0], "floor:hold"], lambda policy, ic: True
    )
    tried = trained.read(folder)
    assert [r.n for r in tried.results if r.tried] == [4]
    assert "it also tried zebra1: of no cell here, left out" in tried.said
    assert any("fine-tuning was on another arm" in text for text in tried.said)


def test_a_session_that_cannot_fill_the_table_is_refused(trained: Trained, tmp_path: Path) -> None:
    own = [trained.policies[ALONE, 1.0]]

    def make(name: str, **how: Any) -> Path:
        return session(tmp_path / name, how.pop("of", own), lambda p, ic: True, blocks=1, **how)

    real, twin = make("real"), make("twin", world="twin")
    worn = make("worn", world="twin", gap="hard")
    single = make("single", execute=1)
    foreign = make("foreign", of=["floor:hold", str(make_checkpoint(tmp_path / "other"))])
    lock_session(tmp_path / "open", own)
    other = tmp_path / "insertion"
    lock_session(other, ["floor:hold"], blocks=1, task="insertion")
    with held(other) as running:
        finish(running)
    for folders, told in (
        ([foreign], "foreign is of other policies: none of zebra0, zebra1 has the weights"),
        ([tmp_path / "open"], "open is not closed: its codes are not resolved yet"),
        ([tmp_path / "none"], "there is no session in .*none"),
        (
            [other],
            r"insertion is of another task or arm: insertion/v1 on the viperx; .* pick_place",
        ),
        ([real, single], r"single carried chunks out otherwise \(execute 1\) than .* \(as saved\)"),
        ([real, real], "real is the same session as one before it"),
        ([real, twin], "twin is of the world twin, .*real of real: they are never in one table"),
        ([twin, worn], r"worn is of the world twin \(gap hard\), .*twin of twin"),
    ):
        with pytest.raises(UsageError, match=told):
            trained.read(*folders)
    assert {r.world for r in trained.read(twin).results if r.tried} == {"twin"}
    (run,) = read_closed(real).runs.values()
    (run / "manifest.json").write_bytes((run / "manifest.json").read_bytes() + b" ")
    with pytest.raises(UsageError, match=r"real: its run .* cannot be used"):
        trained.read(real)


def test_a_real_arm_is_reached_by_what_the_user_fills_in(trained: Trained) -> None:
    ask = trained.ask
    real = replace(ask, real=replace(ask.real, sim=False))
    cells = ASKED.grid(real)
    places = {"root": trained.out, "results": trained.out, "session": trained.out / "monday"}
    said = next_steps(real, cells, places, ["experiment", "sim2real", "--real", "data"])
    commands = [shlex.split(line)[1:] for line in said if line.startswith("  armtrials ")]
    assert [words[:2] for words in commands] == [
        *[["gate", "--policy"]] * 8, ["session", "lock"], ["session", "run"],
        ["experiment", "sim2real"],
    ]  # fmt: skip
    assert sum("--data" in words for words in commands[:8]) == 6  # not of simulation alone
    for words in (commands[0], commands[7]):  # of simulation alone; fine-tuned on the arm
        data = Path(words[words.index("--data") + 1]) if "--data" in words else None
        gate = Gate(GateConfig(Path(words[2]), data=data, observations=20))
        checks: list[Check] = []
        loaded = gate._load(checks.append)
        assert loaded is not None
        gate._static(loaded, checks.append)
        found = {check.name: check for check in checks}["statistics"]
        assert found.outcome == PASS, found.text
    for words in commands:
        load(words[0], words[1:])  # its options are known
    lock = load("session", commands[8][1:]).step
    assert (lock.port, lock.calibration, lock.cameras) == (
        "PORT", Path("CALIBRATION"), ("overhead=CAMERA",),
    )  # fmt: skip
    assert (lock.tags, lock.override, lock.twin) == (Path("OBJECTS"), "", False)
    assert (lock.data, len(lock.policy), lock.blocks) == (trained.data, 8, 20)


@pytest.mark.parametrize(("words", "told"), [
    (["data_scaling", "--real", "DATA"], "data_scaling is not asked about an arm: leave out"),
    (["sim2real", "--session", "s"], "--session needs --real, the arm's demonstrations, got s"),
    (["sim2real", "--real", "nowhere"], "nowhere: must be a folder of episodes"),
    (["sim2real", "--real", "DATA", "--task", "insertion"], "got --task 'insertion'; known: pick"),
    (["sim2real", "--real", "DATA", "--gap", "hard"], "leave out --gap hard"),
    (["sim2real", "--real", "DATA", "--at", "0", "3"], "M must be 0..2, its episodes that can be"),
    (["sim2real", "--real", "DATA", "--session", "none"], "there is no session in none"),
])  # fmt: skip
def test_a_mistake_is_told_in_one_line_and_nothing_is_made(
    words: list[str], told: str, trained: Trained, capsys: pytest.CaptureFixture[str],
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    given = [str(trained.data) if word == "DATA" else word for word in words]
    assert main(["experiment", *given]) == 2
    assert told in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())
