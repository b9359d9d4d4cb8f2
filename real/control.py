"""The control loop of an arm in a process of its own: whoever commands it cannot hold it up.

The process runs a ``SafeArm`` at its control rate and publishes what it reads in shared memory. An
action is carried out in the period it comes in; where none comes the arm brakes and is held, and
the motors' watchdogs are fed. If whoever commands it dies, the process ends without a word, and the
watchdogs stop the arm.
"""

import logging
import multiprocessing
import os
import shutil
import signal
import sys
from collections import deque
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Self

import numpy as np

from envs.arm import Array, InitialCondition, Observation
from envs.errors import UsageError
from real.address import ArmAddress, Manner
from real.connect import connect
from real.machine import MachineError
from real.realtime import keep_time
from real.safe_arm import SafeArm, StoppedError
from real.safety_log import SafetyLog
from real.shared_block import SharedBlock, memory_folder
from real.stop import Reaction, StopBoard, StopRequest
from real.verdict import INVALID_HARDWARE, Outcome, Sent, Verdict

START_S = 60.0
"""How long the process may take to start and to find the arm [s]."""

KEPT = 200_000
"""Control periods whose times are kept."""

COLUMNS = ("time", "verdict", "age", "lost")
"""Of ``FarArm.cadence``: when the action was checked [s], the verdict, age of the newest reading
[s] and how many motors had not answered."""

_log = logging.getLogger(__name__)


class FarStopBoard(StopBoard):
    """A stop board whose wishes are heard in the control process."""

    def __init__(self, orders: SharedBlock) -> None:
        """Leave wishes in ``orders``."""
        super().__init__()
        self._orders = orders

    def press(self, source: str, reaction: Reaction = Reaction.HOLD) -> None:
        """Ask for a stop."""
        with self._lock:  # one writer at a time
            super().press(source, reaction)
            held = super().request()
            if held is not None:
                self._orders.write(held.source[:60], stop=1 + (held.reaction is Reaction.LIMP))

    def release(self) -> StopRequest | None:
        """Take the wish back; return what is still asked for."""
        with self._lock:
            self._orders.write("", stop=0)
            return super().release()


class _Orders:
    """What the board on the other side asks for; a ``Source``."""

    def __init__(self, path: Path) -> None:
        self._block = SharedBlock(path)

    def wish(self) -> StopRequest | None:
        values, source = self._block.read()
        kind = int(values["stop"][0])
        if not kind:
            return None
        return StopRequest(Reaction.LIMP if kind == 2 else Reaction.HOLD, source)


class _Published(SafetyLog):
    """A safety log that also shares every control period with other processes."""

    def __init__(self, folder: Path, path: Path | None) -> None:
        super().__init__(path)
        self.folder = folder
        self.safe: SafeArm | None = None
        self.rows: deque[tuple[float, ...]] = deque(maxlen=KEPT)

    def attach(self, safe: SafeArm) -> None:
        """Begin to publish what ``safe`` reads."""
        n = safe.spec.n
        fields = {"tick": (1,), "stamp": (1,), "limp": (1,)}
        arms = {name: (n,) for name in ("qpos", "qvel", "effort")}
        self._block = SharedBlock.create(self.folder / "state", {**fields, **arms})
        self.safe, self.ticks = safe, 0
        self.publish()

    def add(self, time_s: float, outcome: Outcome) -> None:
        """Take one control period."""
        super().add(time_s, outcome)
        if self.safe is None:
            return
        self.ticks += 1
        lost = sum(finding.what == "no answer" for finding in outcome.findings)
        self.rows.append((time_s, float(outcome.verdict), self.safe.age, float(lost)))
        self.publish()

    def publish(self) -> None:
        """Share the newest reading."""
        safe = self.safe
        if safe is None:
            return
        seen = safe.sensed
        self._block.write(
            tick=self.ticks,
            stamp=seen.stamp,
            limp=float(safe.limp),
            qpos=seen.qpos,
            qvel=seen.qvel,
            effort=seen.effort,
        )


class FarArm:
    """A ``SafeArm`` in a process of its own, with the same methods.

    Attributes:
        spec: the arm with the limits that are in force.
        stop: where an emergency stop is asked for.
        ages: of other inputs that the next action was decided on, such as camera frames [s].
        ends: why the trial is over, empty while it goes on.
        sent: what became of the last command that was not refused.
        process: the control process.
    """

    def __init__(
        self, address: ArmAddress, manner: Manner | None = None, log: Path | None = None
    ) -> None:
        """Start the process and switch the arm at ``address`` on where it is.

        Args:
            address: where it is.
            manner: how it is driven.
            log: file of the safety log.

        Raises:
            UsageError: an arm or a bus that is not there or not as it should be.
            MachineError: a motor that cannot be switched on, named.
        """
        self._folder = memory_folder()
        orders = SharedBlock.create(self._folder / "orders", {"stop": (1,)}, 256)
        self.stop = FarStopBoard(orders)
        self.ages: Mapping[str, float] = {}
        self.ends = ""
        self.sent = Sent(np.zeros(0), Verdict.PASSED)
        context = multiprocessing.get_context("spawn")
        self._pipe, far = context.Pipe()
        arguments = (address, manner or Manner(), self._folder, log, far)
        self.process = context.Process(target=_run, args=arguments, daemon=True)
        self.process.start()
        far.close()
        try:
            if not self._pipe.poll(START_S):
                raise MachineError(f"the control process did not start within {START_S:g} s")
            self.spec = self._answer()
            self._state = SharedBlock(self._folder / "state")
        except BaseException:
            self.close()
            raise

    def home(self, start: InitialCondition) -> Observation:
        """Go to the start pose; see ``SafeArm.home``."""
        self._ask("home", start)
        self.sent = Sent(np.array(start.qpos), Verdict.PASSED)
        return self.observe()

    def command(self, target: Array) -> Observation:
        """Pass targets (n,) through the chain; see ``SafeArm.command``."""
        self.stop.request()  # lets the board's own sources speak
        self.sent = self._ask("command", np.asarray(target, np.float64), dict(self.ages))
        return self.observe()

    def keep(self) -> None:
        """Do nothing: the process holds the arm by itself."""

    def observe(self) -> Observation:
        """Return the newest reading as an observation."""
        values = self._state.read()[0]
        return {key: values[key].astype(np.float32) for key in ("qpos", "qvel", "effort")}

    def resume(self) -> None:
        """Be ready for the next trial after a stop; see ``SafeArm.resume``."""
        self.stop.release()
        self._ask("resume")
        self.ends = ""

    def cadence(self) -> Array:
        """Return what is known of every control period since the last call, (k, 4): ``COLUMNS``."""
        rows: Array = self._ask("cadence")
        return rows

    def log(self) -> tuple[Mapping[str, int], Mapping[str, int]]:
        """Return control periods by verdict, and by what the chain found."""
        counts: tuple[Mapping[str, int], Mapping[str, int]] = self._ask("log")
        return counts

    def counts(self) -> Mapping[str, int]:
        """Return what happened on the line so far: readings, repeats, broken and late packets."""
        counts: Mapping[str, int] = self._ask("counts")
        return counts

    def health(self) -> dict[str, Any]:
        """Return what is known of the motors; see ``SafeArm.health``."""
        health: dict[str, Any] = self._ask("health")
        return health

    def close(self) -> None:
        """Switch the torque off and end the process; twice does no harm."""
        if self.process.is_alive():
            try:
                self._pipe.send(("close",))
                self.process.join(10)
            except OSError:
                pass
        self._pipe.close()
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Switch the torque off and end the process."""
        self.close()

    def _ask(self, *request: Any) -> Any:  # noqa: ANN401  (what the request returns)
        try:
            self._pipe.send(request)
            return self._answer()
        except (EOFError, OSError) as error:
            self.ends = INVALID_HARDWARE
            raise StoppedError(INVALID_HARDWARE, "the control process has ended") from error

    def _answer(self) -> Any:  # noqa: ANN401
        kind, *rest = self._pipe.recv()
        if kind == "stopped":
            self.ends = rest[0]
            raise StoppedError(*rest)
        if kind in _ERRORS:
            raise _ERRORS[kind](rest[0])
        return rest[0]


_ERRORS: Mapping[str, type[Exception]] = {
    "UsageError": UsageError, "MachineError": MachineError, "ValueError": ValueError,
    "RuntimeError": RuntimeError,
}  # fmt: skip
"""What the process may refuse, by name; anything else is a ``RuntimeError``."""


def _run(
    address: ArmAddress, manner: Manner, folder: Path, log: Path | None, pipe: Connection
) -> None:
    """Run the control loop until it is told to close or nobody is there any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever commands the arm decides what that means
    published = _Published(folder, log)
    keep_time()  # before the motors' watchdogs wait for us
    try:
        safe = connect(address, manner, StopBoard(_Orders(folder / "orders")), published)
    except Exception as error:
        pipe.send(_told(error))
        return
    published.attach(safe)
    pipe.send(("done", safe.spec))
    try:
        _serve(safe, published, pipe, manner.patience(safe.health()["watchdog_s"]))
    except (EOFError, ConnectionError):
        # Nobody commands any more. To switch the torque off would drop the arm: the watchdogs act.
        sys.stderr.flush()
        os._exit(1)
    safe.close()


def _serve(safe: SafeArm, published: _Published, pipe: Connection, patience: float) -> None:
    """Obey, and hold the arm while nothing is asked for."""
    driven = False  # the next action is on its way
    while True:
        if not pipe.poll(patience if driven else 0.0):
            safe.keep()
            driven = False
            continue
        kind, *rest = pipe.recv()
        if kind == "close":
            return
        try:
            pipe.send(("done", _obey(safe, published, kind, rest)))
        except (EOFError, ConnectionError):
            raise
        except Exception as error:
            pipe.send(_told(error))
        driven = kind == "command"


def _obey(safe: SafeArm, published: _Published, kind: str, rest: list[Any]) -> Any:  # noqa: ANN401
    if kind == "command":
        safe.ages = rest[1]
        safe.command(rest[0])
        return safe.sent
    if kind == "home":
        safe.ages = {}
        safe.home(rest[0])
    elif kind == "resume":
        safe.resume()
        published.publish()
    elif kind == "cadence":
        rows = np.array(published.rows).reshape(-1, len(COLUMNS))
        published.rows.clear()
        return rows
    elif kind == "log":
        return dict(published.verdicts), dict(published.findings)
    elif kind == "counts":
        return safe.counts
    elif kind == "health":
        return safe.health()
    return None


def _told(error: Exception) -> tuple[str, ...]:
    """Return an error as it goes through the pipe."""
    if isinstance(error, StoppedError):
        text = str(error).removeprefix(f"{error.ends}: ")
        return ("stopped", error.ends, text)
    for kind in (UsageError, MachineError, ValueError):
        if isinstance(error, kind):
            return (kind.__name__, str(error))
    _log.exception("the control loop failed")
    return ("RuntimeError", f"{type(error).__name__}: {error}")
