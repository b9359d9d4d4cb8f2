"""Experiments: grids that hold together, runs that are resumed, pages that say what was found."""

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

import benchmarks.experiment_run as running
from benchmarks.experiment import SIZES, Ask, Cell, Experiment, Result
from benchmarks.experiment_answer import Axis
from benchmarks.experiment_run import (
    Place,
    check_algorithms,
    compared,
    config_of,
    lines,
    run,
    work_of,
)
from benchmarks.experiments import EXPERIMENTS
from benchmarks.experiments.demonstrations import difference
from benchmarks.experiments.pretraining import others
from benchmarks.protocol import DEV, PROTOCOLS
from benchmarks.records import read_manifest, verify_run
from benchmarks.report.experiment_page import figure, write_experiment
from envs.collection import Collection
from envs.errors import UsageError
from policies.stream import StreamConfig


@contextmanager
def quiet(title: str, total: int) -> Iterator[object]:
    yield lambda n=1: None


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_grid_can_be_trained_and_tried(name: str, size: str, tmp_path: Path) -> None:
    found = EXPERIMENTS[name]
    ask = Ask(found.task, size)
    cells = found.grid(ask)
    keys = [cell.key for cell in cells]
    assert len(set(keys)) == len(keys) > 1
    for cell in cells:
        assert cell.against is None or cell.against in keys
        assert cell.against != cell.key
        PROTOCOLS[cell.protocol].condition(cell.condition)
        plan = config_of(cell.fit, tmp_path).resolve()
        assert cell.step is None or cell.step % cell.fit.keep == 0
        assert cell.execute is None or cell.execute <= plan.config.chunk
    folders = {fit.folder(tmp_path) for fit in work_of(cells).fits}
    assert len(folders) == len(work_of(cells).fits)
    assert found.axis.kind in ("log", "linear", "names", "points")


def test_a_model_is_pre_trained_on_every_task_of_the_arm_but_the_new_one() -> None:
    assert others("insertion_2mm") == (
        "pick_place", "assembly", "language_pick", "two_ways", "wipe", "pour"
    )  # fmt: skip
    assert others("transfer") == ("insertion_pair",)
    fits = work_of(EXPERIMENTS["pretraining"].grid(Ask("transfer", pretrain=3))).fits
    bases = {fit.initial for fit in fits if fit.initial}
    assert [(d.collection.task, d.episodes) for b in bases for d in b.sources] == [
        ("insertion_pair", 3)
    ]


def test_what_one_training_builds_on_comes_first() -> None:
    ask = Ask("pick_place", "cpu")
    fits = work_of(EXPERIMENTS["sim2real"].grid(ask)).fits
    for i, fit in enumerate(fits):
        assert fit.initial is None or fit.initial in fits[:i]
    tuned = [fit for fit in fits if fit.initial]
    assert {fit.demos.collection.gap for fit in tuned if fit.demos} == {"hard"}
    assert {fit.initial.stream.collection.gap for fit in tuned} == {""}


@pytest.mark.parametrize(
    ("name", "asked", "told"),
    [
        ("data_scaling", {"at": ("11",)}, "data_scaling has no cell at '11'; known: 10, 25, 50"),
        ("data_scaling", {"trials": 201}, "trials must be 1..200 in pick_place/v1, got 201"),
        ("modes", {}, "modes needs a task that leaves a choice, got pick_place; known: two_ways"),
        ("sim2real", {"gap": "soft"}, "unknown gap 'soft'; known: hard, ordinary$"),
        ("sim2real", {"gap": "none"}, "unknown gap 'none'; known: hard, ordinary$"),
        ("data_scaling", {"gap": "hard"}, "data_scaling is not asked on the twin: leave out --gap"),
        ("data_scaling", {"pretrain": 9}, "data_scaling has no pre-training: leave out --pretrain"),
        ("pretraining", {"pretrain": 0}, "--pretrain must be at least 1 demonstration of each"),
        ("pretraining", {"track": "pixels"}, "pretraining is of the track state, got 'pixels'"),
        ("data_scaling", {"steps": 0}, "steps must be at least 1, got 0"),
        ("data_scaling", {"size": "paper"}, "unknown preset 'paper'; known: quick, cpu"),
    ],
)
def test_a_mistake_is_told_before_anything_is_made(
    name: str, asked: dict[str, object], told: str
) -> None:
    with pytest.raises(UsageError, match=told):
        EXPERIMENTS[name].grid(Ask("pick_place", **asked))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "algo", "told"),
    [
        ("sim2real", "gail", "cannot train gail: gail compares with fixed demonstrations"),
        ("chunking", "gail", "cannot train gail: GAIL decides at every step"),
        ("camera_shift", "gail", "gail does not learn on the pixels track, only on state"),
        ("camera_shift", "pi0", "cannot train pi0: Pi0 starts from weights"),
        ("val_loss", "vlm", "cannot train vlm: vlm does not learn on the state track"),
        ("pretraining", "act", "cannot train act: act learns one task, got 6 folders"),
        *((name, "pi0", "cannot train pi0") for name in EXPERIMENTS),
    ],
)
def test_an_algorithm_that_cannot_be_trained_so_is_refused_before_anything_is_made(
    name: str, algo: str, told: str, tmp_path: Path
) -> None:
    able = {"vla"} if name == "pretraining" else {"act", "bc"}
    ask = Ask(EXPERIMENTS[name].task, algos=(min(able), algo))
    with pytest.raises(UsageError, match=told) as refused:
        run(EXPERIMENTS[name], ask, Place(tmp_path, tmp_path), quiet)
    known = str(refused.value).rpartition("; known: ")[2].split(", ")
    assert able <= set(known)
    assert algo not in known
    assert not list(tmp_path.iterdir())
    for other in known:
        check_algorithms(EXPERIMENTS[name], replace(ask, algos=(other,)))


def test_a_mistake_in_the_grid_is_not_blamed_on_the_algorithm(tmp_path: Path) -> None:
    ask = Ask("pick_place", algos=("gail",), at=("7",))
    with pytest.raises(UsageError, match="sim2real has no cell at '7'"):
        run(EXPERIMENTS["sim2real"], ask, Place(tmp_path, tmp_path), quiet)


def small(ask: Ask) -> list[Cell]:
    """A grid with a streamed pre-training, fine-tuning on the twin, kept steps, damage, chunks."""
    twin, few = f"{ask.protocol}+twin-hard", ask.demos(2, gap="hard", seed=7)
    before = ask.fit("bc", None, stream=StreamConfig(Collection(ask.task), 2, 2), steps=2)
    plain = ask.fit("bc", ask.demos(2), steps=4, keep=2)
    return [
        Cell("tuned", "twin", replace(before, demos=few, stream=None, initial=before), twin),
        Cell("plain", "half", plain, ask.protocol, step=2),
        Cell("plain", "whole", plain, ask.protocol, against=("plain", "half")),
        Cell("plain", "offset", plain, ask.protocol, damage="offset"),
        Cell("plain", "chunk 2", replace(plain, chunk=2, keep=0), ask.protocol, execute=1),
    ]


SMALL = Experiment(
    "small", "Does it run?", "As small as can be.", Axis("what", "names"), small,
    measure=lambda cell, trials, policy: {"seen": len(trials)},
)  # fmt: skip


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Ask, Place, list[Result]]:
    folder = tmp_path_factory.mktemp("experiment")
    ask, place = Ask("pick_place", trials=2, split=DEV), Place(folder, folder)
    return ask, place, run(SMALL, ask, place, quiet)


def test_every_cell_is_a_sealed_run_and_says_twin_where_it_is_one(
    done: tuple[Ask, Place, list[Result]],
) -> None:
    ask, place, results = done
    assert [r.cell.key for r in results] == [cell.key for cell in SMALL.grid(ask)]
    manifests = [read_manifest(place.results / r.run) for r in results]
    assert [m["world"] for m in manifests] == ["twin", "sim", "sim", "sim", "sim"]
    assert len({r.run for r in results}) == 5
    for r, manifest in zip(results, manifests, strict=True):
        assert not verify_run(place.results / r.run)
        assert (r.n, r.extra["seen"], manifest["policy"]["name"]) == (2, 2, r.cell.series)
    assert manifests[-1]["execution"] | {"chunk": 2, "execute": 1} == manifests[-1]["execution"]
    assert manifests[1]["policy"]["training"]["steps"] == 2
    whole, half = results[2], results[1]
    assert whole.diff == pytest.approx(whole.share - half.share)


def test_what_is_there_is_not_made_again(done: tuple[Ask, Place, list[Result]]) -> None:
    ask, place, results = done
    before = {p: p.stat().st_mtime_ns for p in place.root.rglob("*")}
    assert run(SMALL, ask, place, quiet) == results
    assert {p: p.stat().st_mtime_ns for p in place.root.rglob("*")} == before


def test_an_interrupted_experiment_keeps_the_cells_that_are_done(
    done: tuple[Ask, Place, list[Result]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask, place, results = done
    other, real = Place(place.root, tmp_path), running.evaluate
    ran: list[str] = []

    def stopping(config, *rest):
        if len(ran) == 2:
            raise KeyboardInterrupt
        ran.append(config.name)
        return real(config, *rest)

    monkeypatch.setattr(running, "evaluate", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(SMALL, ask, other, quiet)
    assert len(list(tmp_path.rglob("SEALED.json"))) == 2
    monkeypatch.setattr(running, "evaluate", real)
    counted: list[int] = []

    @contextmanager
    def counting(title: str, total: int) -> Iterator[object]:
        yield counted.append

    again = run(SMALL, ask, other, counting)
    assert [(r.k, r.n) for r in again] == [(r.k, r.n) for r in results]
    assert sum(counted) == 10


def test_the_page_the_tables_and_the_figure_say_what_was_found(
    done: tuple[Ask, Place, list[Result]], tmp_path: Path
) -> None:
    ask, _, results = done
    page = write_experiment(SMALL, ask, results, tmp_path, "armtrials experiment small")
    about = json.loads((tmp_path / "experiment.json").read_text())
    assert about["worlds"] == ["sim", "twin"]
    assert [c["x"] for c in about["cells"]] == ["twin", "half", "whole", "offset", "chunk 2"]
    rows = list(csv.DictReader((tmp_path / "experiment.csv").read_text().splitlines()))
    assert [row["seen"] for row in rows] == ["2"] * 5
    assert (tmp_path / "experiment.png").read_bytes()[:4] == b"\x89PNG"
    text = page.read_text()
    for shown in ("Does it run?", "armtrials experiment small", "sim and twin", results[0].run):
        assert shown in text


def made(series: str, x: float | str, wins: list[int], **extra: object) -> Result:
    cell = Cell(series, x, small(Ask("pick_place"))[1].fit, "pick_place/v1")
    flags = [bool(w) for w in wins]
    kept = {"flags": flags, "ics": list(range(len(wins))), **extra}
    return Result(cell, "run", sum(wins), len(wins), 0.1, 0.9, {}, 2, 1.0, kept)


def test_differences_are_paired_and_said_with_their_interval() -> None:
    base = made("a", 1.0, [0] * 30 + [1] * 10)
    better = made("b", 1.0, [1] * 40)
    better = replace(better, cell=replace(better.cell, against=("a", 1.0)))
    first, second = compared([base, better])
    assert first.diff is None
    assert second.diff == pytest.approx(0.75)
    assert second.p is not None
    assert second.p < 1e-6
    assert difference(second).startswith("at 1.0: b minus a: +75 points, 95 % interval +60 to +86")


def test_the_rank_of_losses_is_compared_with_the_rank_of_successes() -> None:
    ask, found = Ask("pick_place"), EXPERIMENTS["val_loss"]
    rising = [made("act", s, [1] * s + [0] * (9 - s), val_loss=s / 10, loss=0.1) for s in (1, 4, 8)]
    (said,) = found.conclude(ask, rising).said
    assert "success +1.00" in said
    assert "the lowest loss (step 1) has 1/9, the most successful (step 8) 8/9" in said
    same = [made("act", s, [1, 0], val_loss=s / 10, loss=0.1) for s in (1, 4, 8)]
    assert "too few different" in found.conclude(ask, same).said[0]
    places = [v["x"] for v in figure(found, rising)["data"]["values"]]
    assert places == [0.1, 0.4, 0.8]


def test_the_numbers_of_every_cell_are_a_row() -> None:
    (row,) = lines([made("a", 1.0, [1, 0, 1], ways=2)])
    assert (row["series"], row["k"], row["n"], row["ways"]) == ("a", 2, 3, 2)
    assert "flags" not in row
