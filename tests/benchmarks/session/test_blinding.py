"""Nobody learns from the session which policy drives, until it is closed."""

import io
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.protocol import NOMINAL, PROTOCOLS
from benchmarks.session.films import film
from benchmarks.session.ledger import FILE
from benchmarks.session.lock import (
    FILE_MODE,
    KEY,
    Driver,
    Terms,
    artefact_of,
    make_lock,
    read_key,
)
from benchmarks.session.mask import HIDDEN
from benchmarks.session.opening import open_session
from benchmarks.session.rig import Found, Placing, Probe, Ran
from benchmarks.session.script import Script, eyes_of, operate
from benchmarks.session.state import FAIL
from benchmarks.session.view import View
from envs.errors import UsageError
from real.machine import MachineError
from scripts.session_terminal import words
from tests.benchmarks.made_checkpoint import make_checkpoint
from tests.benchmarks.session.stand_in import StandIn, held, lock_session, until

SECRETS = ("zebra", "okapi", "gnu-7")
log = logging.getLogger("benchmarks.session.test")


class Talkative(StandIn):
    """Names its policies wherever it can: in checks, errors, log lines and reasons."""

    def probes(self) -> Sequence[Probe]:
        whole = list(super().probes())
        told = f"cannot load {self.opened.key.drivers[0].source}: okapi is sick"
        return [Probe("watchdog", "Watchdog", lambda: Found(FAIL, told)), *whole[1:]]

    def prepare(self, start: Any) -> Placing:
        log.warning("loading %s", Path(self.opened.key.drivers[1].source).resolve())
        if not self.ran:
            self.ran.append((-1, -1))
            raise MachineError(f"no answer while {self.opened.key.drivers[0].name} was loaded")
        return super().prepare(start)

    def run(self, arm: int, start: Any, seed: int) -> Ran:
        ran = super().run(arm, start, seed)
        driver = self.opened.key.drivers[arm]
        told = {**ran.told, "reason": f"ValueError in {driver.source}/model.safetensors"}
        return Ran("", told, ran.arrays)


def leaks(data: bytes) -> list[str]:
    """Return the secrets in ``data``, in any case and in UTF-16."""
    low = data.lower()
    return [s for s in SECRETS if s.encode() in low or s.encode("utf-16-le") in low]


@pytest.fixture
def sources(tmp_path: Path) -> list[str]:
    """Two checkpoints in folders with telling names."""
    for k, name in enumerate(("okapi", "gnu-7")):
        make_checkpoint(tmp_path / "private" / name, seed=k)
    return [str(tmp_path / "private" / name) for name in ("okapi", "gnu-7")]


def test_no_byte_shown_named_or_logged_tells_a_policy_before_the_end(
    tmp_path: Path,
    sources: list[str],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "session"
    lock_session(folder, sources, blocks=2)
    seen = io.BytesIO()
    opened = open_session(folder)

    def look(view: View) -> None:
        seen.write(json.dumps(view.to_json()).encode() + words(view).encode())

    caplog.set_level(logging.DEBUG)
    with held(folder, rig=Talkative(opened)) as session:
        before = b""
        original = session._work.do

        def do(kind: str, state: Any) -> Any:
            nonlocal before
            if kind == "close" and not state.unblinded:
                files = [
                    p for p in folder.rglob("*") if p.is_file() and "evaluations" not in str(p)
                ]
                before = b"".join(p.read_bytes() + p.name.encode() for p in files)
            return original(kind, state)

        session._work.do = do  # type: ignore[method-assign]
        operate(session, Script(eyes_of(session), who="kim"), look)
        for name, value in (("success", "yes"), ("next", "next")):
            with pytest.raises(UsageError) as error:
                session.answer(name, value, "lee")
            seen.write(str(error.value).encode())
    out = capfd.readouterr()
    shown = seen.getvalue()
    assert HIDDEN.encode() in shown  # there was something to hide
    assert b"waived" in shown
    assert leaks(shown) == []
    assert leaks(caplog.text.encode()) == []
    assert leaks((out.out + out.err).encode()) == []
    assert len(before) > 10_000
    assert leaks(before) == []
    assert leaks((folder / FILE).read_bytes()) != []  # now the codes are resolved


def test_the_order_of_the_command_does_not_tell_who_is_who(tmp_path: Path) -> None:
    firsts = set()
    for k in range(12):
        folder = tmp_path / f"s{k}"
        names = ("floor:hold", "floor:random")
        drivers = [Driver(name, name, artefact_of(name)) for name in names]
        terms = Terms("s", "twin", "pick_place/v1", "viperx", 1)
        lock = make_lock(folder, terms, drivers, "2026-01-01T00:00:00+00:00", f"{k:02x}")
        firsts.add(read_key(folder, lock).drivers[0].name)
    assert firsts == {"floor:hold", "floor:random"}


def test_the_key_is_for_nobody_else_and_shows_no_text(tmp_path: Path) -> None:
    lock_session(tmp_path)
    path = tmp_path / KEY
    assert path.stat().st_mode & 0o777 == FILE_MODE
    assert b"zebra" not in path.read_bytes()
    assert b"floor" not in path.read_bytes()


def test_the_suggestion_is_told_only_when_the_labels_are_final(tmp_path: Path) -> None:
    lock_session(tmp_path)
    with held(tmp_path, wins=lambda arm, ic: True) as session:
        until(session, "label")
        assert session.view().suggestion == ""
        session.answer("success", "no", "kim")
        session.answer("stage", "1", "kim")
        view = session.answer("failure", "stuck", "kim")
        assert view.suggestion == ""
        assert "automatic" not in json.dumps(view.to_json())
        view = session.answer("next", "next", "kim")
        assert "automatically, otherwise: success" in view.suggestion


def test_the_test_tells_an_operator_to_stop_but_not_who_leads(tmp_path: Path) -> None:
    lock_session(tmp_path, blocks=12, alpha=0.3)
    shown = []
    with held(tmp_path) as session:
        operate(session, Script(eyes_of(session), who="kim"), lambda v: shown.append(v.test))
        assert session.state.complete < 12
        assert session.state.ended == "the test has decided"
    assert {test.decision for test in shown} == {"continue", "decided"}
    assert not any(word in test.text for test in shown for word in ("first", "second", "better"))


def test_films_and_pictures_name_a_trial_by_its_code(tmp_path: Path) -> None:
    protocol = PROTOCOLS["pick_place/v1"]
    frames = np.zeros((2, 24, 32, 3), np.uint8)
    arrays = {"frames/overhead": frames, "frames_hz": np.array(25.0)}
    data = film(protocol, arrays, protocol.start(NOMINAL, 0), "K7-T4")
    assert data[4:8] == b"ftyp"
    assert leaks(data) == []
    assert film(protocol, {"actions": frames}, protocol.start(NOMINAL, 0), "K7-T4") == b""
