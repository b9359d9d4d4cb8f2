"""What a session does not take: a second operator, other files, an outcome twice."""

import json
import shutil
import zlib
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gate import verdict as gate
from benchmarks.gate.check import PASS
from benchmarks.lines import canonical, digest, parse
from benchmarks.records import read_run
from benchmarks.session.closing import read_closed
from benchmarks.session.ledger import FILE
from benchmarks.session.lock import KEY, LOCK, Driver, Terms, artefact_of, make_lock
from benchmarks.session.opening import open_session, permit
from benchmarks.session.view import UNDO_S
from envs.errors import UsageError
from tests.benchmarks.made_checkpoint import make_checkpoint
from tests.benchmarks.session.stand_in import (
    MADE,
    Clock,
    finish,
    held,
    lock_session,
    until,
)


def test_a_second_operator_is_refused_while_the_first_runs_the_session(tmp_path: Path) -> None:
    lock_session(tmp_path)
    with (
        held(tmp_path),
        pytest.raises(UsageError, match="another operator's program runs this session"),
        held(tmp_path),
    ):
        pass
    with held(tmp_path) as session:
        until(session, "next")
        assert session.state.opened == 2


def test_who_does_not_operate_must_take_over_first(tmp_path: Path) -> None:
    lock_session(tmp_path)
    with held(tmp_path) as session:
        until(session, "next")
        session.answer("next", "next", "kim")
        until(session, "reset")
        before = session.state
        with pytest.raises(UsageError, match="kim operates this session: take over first"):
            session.answer("measure", "measure", "lee")
        assert session.state == before
        session.answer("operator", "take over", "lee")
        with pytest.raises(UsageError, match="lee operates"):
            session.answer("measure", "measure", "kim")
        session.answer("measure", "measure", "lee")
        assert session.state.notes == ("lee took over from kim",)


def test_an_outcome_entered_twice_is_refused(tmp_path: Path) -> None:
    lock_session(tmp_path)
    with held(tmp_path) as session:
        until(session, "label")
        view = session.answer("success", "no", "kim")
        before = session.state
        with pytest.raises(UsageError, match="success of this trial was entered already"):
            session.answer("success", "yes", "kim")
        with pytest.raises(UsageError, match="answers an older question"):
            session.answer("stage", "2", "kim", number=view.number - 1)
        assert session.state == before
        session.answer("stage", "2", "kim")
        session.answer("failure", "dropped", "kim")
        with pytest.raises(UsageError, match="was entered already"):
            session.answer("failure", "stuck", "kim")


def test_labels_can_be_taken_back_for_ten_seconds_and_not_later(tmp_path: Path) -> None:
    lock_session(tmp_path)
    clock = Clock()
    with held(tmp_path, clock) as session:
        until(session, "label")
        session.answer("success", "yes", "kim")
        clock.time += UNDO_S - 1
        view = session.answer("undo", "undo", "kim")
        assert view.phase == "label"
        session.answer("success", "yes", "kim")
        clock.time += UNDO_S + 1
        assert session.view().undo_until is None
        with pytest.raises(UsageError, match="undo=undo is not asked now"):
            session.answer("undo", "undo", "kim")
        session.answer("next", "next", "kim")
        assert "labels were taken back" in session.state.notes[0]


def test_reasons_and_names_are_needed(tmp_path: Path) -> None:
    lock_session(tmp_path)
    with held(tmp_path) as session:
        until(session, "label")
        for value, who, text, told in (
            ("void", "kim", " ", "needs a reason"),
            ("void", "", "cable", "who operates must be said"),
            ("void", "kim", "x" * 501, "at most 500 letters"),
        ):
            with pytest.raises(UsageError, match=told):
                session.answer("void", value, who, text)
        assert session.answer("void", "void", "kim", "cable").voids == 1


def edit_json(path: Path, change: Any) -> None:
    """Edit the lock as somebody would who also makes its hash right."""
    body = parse(path.read_bytes())
    body.pop("sha256")
    change(body)
    path.write_bytes(canonical({**body, "sha256": digest(canonical(body))}) + b"\n")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session of two checkpoints, with a calibration, that has begun."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "calibration.json").write_text("{}")
    sources = [str(make_checkpoint(folder / f"zebra{k}", seed=k)) for k in range(2)]
    calibration = str(folder / "calibration.json")
    lock_session(folder / "session", sources, calibration=calibration)
    with held(folder / "session") as session:
        until(session, "next")
    return folder


def copied(made: Path, tmp_path: Path) -> Path:
    """Copy the session; its artefacts stay where the key says."""
    return Path(shutil.copytree(made / "session", tmp_path / "session"))


@pytest.mark.parametrize(("change", "told"), [
    (lambda b: b["schedule"].reverse(), "the schedule was edited"),
    (lambda b: b["terms"].update(seed=5), "the schedule was edited"),
    (lambda b: b.update(protocol="0" * 64), "the protocol pick_place/v1 is another"),
    (lambda b: b.update(robot="0" * 64), "the robot viperx is another"),
    (lambda b: b.update(calibration="0" * 64), "calibration.json is another"),
    (lambda b: b.update(key="0" * 64), "is not the key that was locked"),
    (lambda b: b["terms"].update(alpha=0.2), "is the log of another lock"),
])  # fmt: skip
def test_a_session_with_another_lock_is_refused_and_what_differs_is_named(
    made: Path, tmp_path: Path, change: Any, told: str
) -> None:
    session = copied(made, tmp_path)
    edit_json(session / LOCK, change)
    with pytest.raises(UsageError, match=told), held(session):
        pass


def test_a_lock_or_key_that_was_simply_edited_is_refused(made: Path, tmp_path: Path) -> None:
    session = copied(made, tmp_path)
    whole = (session / LOCK).read_bytes()
    (session / LOCK).write_bytes(whole.replace(b'"alpha":0.05', b'"alpha":0.06'))
    with pytest.raises(UsageError, match="was edited after the session was locked"):
        open_session(session)
    (session / LOCK).write_bytes(whole)
    key = json.loads(zlib.decompress((session / KEY).read_bytes()))
    key["drivers"].reverse()
    (session / KEY).write_bytes(zlib.compress(canonical(key)))
    with pytest.raises(UsageError, match="is not the key that was locked"):
        open_session(session)


@pytest.mark.parametrize("name", ["model.safetensors", "provenance.json", "stats.json"])
def test_an_artefact_that_changed_is_refused_and_not_named(
    made: Path, tmp_path: Path, name: str
) -> None:
    path = made / "zebra1" / name
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:-2] + b" \n")
        with pytest.raises(UsageError, match=r"artefact .* is not as it was locked") as found:
            open_session(made / "session")
        assert "zebra" not in str(found.value)
    finally:
        path.write_bytes(whole)


def test_events_of_another_session_are_refused(made: Path, tmp_path: Path) -> None:
    session = copied(made, tmp_path)
    lock_session(tmp_path / "other")
    with held(tmp_path / "other") as other:
        until(other, "next")
    shutil.copy(tmp_path / "other" / FILE, session / FILE)
    with pytest.raises(UsageError, match="is the log of another lock"), held(session):
        pass


def passing(where: Path, out: Path, key: Path | None = None, **changes: Any) -> Path:
    """Write a verdict that passed for the first checkpoint, unless it is changed."""
    import time

    inputs = gate.inputs_of(
        where / "zebra0", "pick_place/v1", "viperx", where / "calibration.json", "data"
    )
    body = {"inputs": inputs, "outcome": PASS, "made": time.time(), **changes}
    out.write_bytes(gate.sealed(body, key))
    return out


def real_terms(made: Path, tmp_path: Path) -> Terms:
    return Terms(
        "real", "real", "pick_place/v1", "viperx", 1, share=0.0,
        calibration=str(made / "calibration.json"), results=str(tmp_path / "evaluations"),
    )  # fmt: skip


def test_a_session_on_an_arm_needs_a_passing_verdict_for_exactly_this(
    made: Path, tmp_path: Path
) -> None:
    terms, source = real_terms(made, tmp_path), str(made / "zebra0")

    def driver(verdict: Path, **more: str) -> Driver:
        return Driver("zebra0", source, artefact_of(source), str(verdict), **more)

    good = passing(made, tmp_path / "good.json")
    assert permit(driver(good), terms).verdict
    stale = passing(made, tmp_path / "stale.json", made=1.0e9)
    failed = passing(made, tmp_path / "failed.json", outcome="fail")
    faster = passing(made, tmp_path / "faster.json", execution={"execute": 999, "delay": 2})
    for verdict, told in (
        (tmp_path / "none.json", "there is no verdict"),
        (stale, "stale verdict: it is .* days old"),
        (failed, "the verdict is 'fail'"),
        (faster, r"given under execute 999, delay 2, this runs with execute \d+, delay 0"),
    ):
        with pytest.raises(UsageError, match=told):
            permit(driver(verdict), terms)
    other = Driver("zebra1", str(made / "zebra1"), artefact_of(str(made / "zebra1")), str(good))
    with pytest.raises(UsageError, match="another artefact"):
        permit(other, terms)
    (made / "calibration.json").write_text("{ }")
    try:
        with pytest.raises(UsageError, match="another calibration"):
            permit(driver(good), terms)
    finally:
        (made / "calibration.json").write_text("{}")
    secret = tmp_path / "gate.key"
    secret.write_text("secret")
    with pytest.raises(UsageError, match="not signed with this key"):
        permit(driver(good, signed=str(secret)), terms)


def test_an_override_is_recorded_in_every_trial(made: Path, tmp_path: Path) -> None:
    terms, source = real_terms(made, tmp_path), str(made / "zebra0")
    reason = "first light of a new arm"
    driver = Driver("zebra0", source, artefact_of(source), override=reason)
    make_lock(tmp_path / "session", terms, [driver], MADE)
    with held(tmp_path / "session") as session:
        finish(session)
    closed = read_closed(tmp_path / "session")
    assert closed.permission["zebra0"]["override"] == reason
    run = read_run(closed.runs["zebra0"])
    assert run.manifest["world"] == "real"
    assert run.manifest["session"]["permission"]["problem"].startswith("there is no verdict")
    assert [trial["permission"]["override"] for trial in run.trials] == [reason]


def test_without_a_verdict_no_session_on_an_arm_is_taken_up(made: Path, tmp_path: Path) -> None:
    terms, source = real_terms(made, tmp_path), str(made / "zebra0")
    verdict = passing(made, tmp_path / "good.json")
    make_lock(
        tmp_path / "session", terms,
        [Driver("zebra0", source, artefact_of(source), str(verdict))], MADE,
    )  # fmt: skip
    open_session(tmp_path / "session")
    verdict.unlink()
    with pytest.raises(UsageError, match="there is no verdict") as found:
        open_session(tmp_path / "session")
    assert "zebra" not in str(found.value)
