"""What the program does between two answers; each piece of work gives events."""

import io
import logging
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.session import asking, deciding
from benchmarks.session.arm_checks import TITLES
from benchmarks.session.closing import Closer, seals_of
from benchmarks.session.films import film
from benchmarks.session.opening import Opened, checks, titles
from benchmarks.session.rig import Found, Placing, Probe, Rig
from benchmarks.session.rigs import RigMaker
from benchmarks.session.state import FAIL, PASS, State
from envs.atomic import write_whole
from envs.errors import UsageError
from policies.base import Policy
from real.machine import MachineError
from real.safe_arm import StoppedError
from real.stop import StopBoard

log = logging.getLogger(__name__)

Results = Sequence[tuple[str, dict[str, Any]]]
"""Events to be added: kind and fields."""

TROUBLE = (UsageError, MachineError, StoppedError)
"""What a device, or a file, may say without the program being wrong."""

WHY = {
    deciding.DECIDED: "the test has decided",
    deciding.UNDECIDED: "all blocks are done",
}


class Work:
    """Does the work of a session in its thread.

    Attributes:
        titles: the checks' names for people.
        overlay: picture (PNG) of where things go; empty: none.
        lines: the same in words.
    """

    def __init__(
        self,
        opened: Opened,
        make_rig: RigMaker,
        ending: threading.Event,
        closer: Closer | None = None,
    ) -> None:
        """Prepare; nothing is loaded or connected yet."""
        self.opened, self._make_rig, self._ending = opened, make_rig, ending
        self._closer = closer or Closer()
        self._rig: Rig | None = None
        self._policies: list[Policy] | None = None
        connect = Probe("arm", "The arm answers", self._connect)
        self._early = (*checks(opened, self.policies), connect)
        self.titles = {**titles(self._early), **TITLES}
        self.overlay, self.lines = b"", tuple[str, ...]()

    def names(self) -> list[str]:
        """Return the names of the checks in their order."""
        return list(self.titles)

    def policies(self) -> list[Policy]:
        """Return the policies, loaded once."""
        if self._policies is None:
            self._policies = self.opened.load()
        return self._policies

    @property
    def board(self) -> StopBoard | None:
        """Where an emergency stop is asked for; None before there is an arm."""
        return None if self._rig is None else self._rig.stop

    def rig(self) -> Rig:
        """Return the arm, connected once."""
        if self._rig is None:
            self._rig = self._make_rig(self.opened, self.policies(), self._ending)
        return self._rig

    def forget(self) -> None:
        """Drop the picture of the last trial."""
        self.overlay, self.lines = b"", ()

    def close(self) -> None:
        """Release the arm."""
        if self._rig is not None:
            self._rig.close()
            self._rig = None

    def do(self, kind: str, state: State) -> Results:
        """Do a piece of work of ``asking.job``; return its events."""
        results: Results = getattr(self, f"_do_{kind}")(state)
        return results

    def _masked(self, error: BaseException) -> str:
        return self.opened.mask(str(error))

    def _connect(self) -> Found:
        self.rig()
        terms = self.opened.lock.terms
        where = "twin" if terms.world == "twin" else str(terms.reach.get("port", ""))
        return Found(PASS, f"{terms.robot} ({where}) is switched on where it was")

    def _do_check(self, state: State) -> Results:
        name = asking.waiting(state)
        early = {probe.name: probe for probe in self._early}
        try:
            probe = early.get(name) or {p.name: p for p in self.rig().probes()}[name]
            found = probe.make()
        except TROUBLE as error:
            found = Found(FAIL, self._masked(error))
        text = self.opened.mask(found.text)
        told = {"outcome": found.outcome, "text": text, "evidence": dict(found.evidence)}
        return [("checked", {"name": name, **told})]

    def _do_look(self, state: State) -> Results:
        return [("looked", {"block": state.complete, "decision": deciding.decision(state)})]

    def _do_end(self, state: State) -> Results:
        return [("ended", {"why": WHY[deciding.decision(state)], "early": False})]

    def _do_prepare(self, state: State) -> Results:
        return self._place(state, "prepared")

    def _do_measure(self, state: State) -> Results:
        return self._place(state, "measured")

    def _place(self, state: State, kind: str) -> Results:
        trial = state.current
        assert trial is not None
        start = self.opened.start(trial.ic)
        try:
            rig = self.rig()
            placing = rig.prepare(start) if kind == "prepared" else rig.measure(start)
        except TROUBLE as error:
            self.forget()
            return [("hitch", {"code": trial.code, "problem": self._masked(error)})]
        self._show(placing)
        fields = {} if kind == "prepared" else {"placed": placing.to_json()}
        return [(kind, {"code": trial.code, **fields})]

    def _show(self, placing: Placing) -> None:
        self.overlay, self.lines = placing.png, placing.lines

    def _do_run(self, state: State) -> Results:
        trial = state.current
        assert trial is not None
        protocol = self.opened.protocol
        try:
            seed = protocol.seeds(trial.ic)["policy"]
            ran = self.rig().run(trial.arm, self.opened.start(trial.ic), seed)
        except TROUBLE as error:
            told = f"the policy did not drive: {self._masked(error)}"
            return [("voided", {"code": trial.code, "reason": told, "problem": told})]
        attempt = len(state.attempts[trial.code])
        name = f"trials/{trial.code}-{attempt}.npz"
        write_whole(self.opened.folder / name, packed(ran.arrays))
        told_json = {**ran.told, "arrays": name}
        told_json["reason"] = self.opened.mask(str(told_json["reason"]))
        results = [("ran", {"code": trial.code, "ran": told_json})]
        if ran.void:
            reason = self.opened.mask(ran.void)
            results.append(("voided", {"code": trial.code, "reason": reason, "problem": reason}))
        return results

    def _do_film(self, state: State) -> Results:
        code = asking.unfilmed(state)[0]
        attempt = state.last(code)
        assert attempt is not None
        with np.load(self.opened.folder / attempt.ran["arrays"], allow_pickle=False) as found:
            arrays = dict(found)
        start = self.opened.start(self.opened.lock.planned(code).ic)
        data = film(self.opened.protocol, arrays, start, code)
        name = f"films/{code}.mp4" if data else ""
        if data:
            write_whole(self.opened.folder / name, data)
        return [("filmed", {"code": code, "film": name})]

    def _do_close(self, state: State) -> Results:
        if state.unblinded:
            return [("closed", {})]
        folders = self._closer.seal(self.opened, self.policies(), state)
        if not state.seals:
            return [("sealed", {"seals": seals_of(folders)})]
        runs = {arm: str(folder) for arm, folder in folders.items()}
        return [("unblinded", {"key": self.opened.key.to_json(), "runs": runs})]


def packed(arrays: Any) -> bytes:  # noqa: ANN401  (arrays by name)
    """Return arrays as the bytes of an npz file."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{name: np.asarray(array) for name, array in arrays.items()})  # type: ignore[arg-type]
    return buffer.getvalue()
