"""What the hardware twin holds on this machine: ``python -m perf.twin [names]``.

cadence   a control process drives the twin for 60 s at 50 Hz, in real time: periods, lost ticks,
          what went wrong on the line
follow    a Koch follows an emulated leader before two cameras and is recorded, in real time (with
          --tags: object poses by tags, one camera)
soak      30,000 control periods of a line that loses, spoils and cuts 1 % of each motor's answers,
          through driver, safety chain and MuJoCo, on a clock of its own
stop      overload, over-temperature, unplug while the arm moves, in real time: until it rests
kills     a scripted recording of 10 episodes on the twin, killed (SIGKILL) at random, again and
          again
trials    20 trials of a policy on the twin (--policy), in real time or on a clock of its own
"""

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.protocol import PROTOCOLS
from envs.arm import Array, CameraSpec, InitialCondition
from envs.collection import Collection
from envs.episode import episode_files, read_episode
from envs.gap import GAPS
from real.address import PATIENT, ArmAddress
from real.connect import connect_leader
from real.control import COLUMNS
from real.emulators.dynamixel import DynamixelEmulator, Emulated
from real.emulators.dynamixel_hand import Hand
from real.emulators.twin import ClockTwin, Twin, TwinSetup
from real.emulators.twin_table import TAGS, TRUTH, Sight, twin_arm
from real.follow import FollowSession
from real.real_arm import RealArm
from real.realtime import BELOW, keep_time
from real.safe_arm import StoppedError
from real.teleop.later import LaterAlbum
from real.teleop.takeover import PoseLeader

CONSOLE = Console(highlight=False, soft_wrap=True)
PERIOD = 0.02
CAMERAS = (CameraSpec("overhead", 84, 84), CameraSpec("wrist", 84, 84))
BAD_LINE = ("loss=0.01", "crc=0.01", "truncation=0.01")
TIME, AGE, LOST = (COLUMNS.index(name) for name in ("time", "age", "lost"))


def sway(start: InitialCondition, k: int) -> Array:
    """Return targets that keep the arm moving above the table, ``k`` control periods on."""
    target = np.array(start.qpos)
    target[0] += 0.4 * np.sin(k * PERIOD * 1.5)
    target[1] += 0.1 * np.sin(k * PERIOD * 2.0) - 0.1
    target[-1] = 0.5 + 0.5 * np.cos(k * PERIOD)
    return target


def begin(arm: RealArm, seed: int = 0) -> InitialCondition:
    """Bring the arm to a start and return it."""
    start = arm.task.sample(np.random.default_rng(seed), arm.spec)
    arm.home(start)
    return start


def cadence(arguments: argparse.Namespace) -> None:
    """Drive the twin in real time and tell how regular that was."""
    ticks = round(arguments.seconds / PERIOD)
    with Twin(TwinSetup(robot=arguments.robot)) as twin, twin_arm(twin) as arm:
        start = begin(arm)
        keep_time(BELOW)  # as armtrials record does
        joints = arm.joints
        joints.cadence()  # type: ignore[attr-defined]
        before = dict(joints.counts())  # type: ignore[attr-defined]
        old = joints.log()[1]  # type: ignore[attr-defined]
        ended = ""
        for k in range(ticks):
            try:
                arm.command(sway(start, k))
            except StoppedError as error:
                ended = f"; ended early: {error}"
                break
        rows = joints.cadence()  # type: ignore[attr-defined]
        counts = {k: v - before[k] for k, v in joints.counts().items()}  # type: ignore[attr-defined]
        found = {k: v - old.get(k, 0) for k, v in joints.log()[1].items()}  # type: ignore[attr-defined]
    periods = np.diff(rows[:, TIME]) * 1e3
    p50, p99 = np.percentile(periods, [50, 99])
    lost = int((periods > 1.5e3 * PERIOD).sum())
    errors = int((rows[:, LOST] > 0).sum())
    CONSOLE.print(
        f"{twin.setup.arm}, {len(rows)} control periods: {p50:.2f} ms median, {p99:.2f} ms p99 "
        f"(goal 25), {periods.max():.1f} ms longest; {lost} lost ticks (beyond 30 ms, goal 0); "
        f"{errors} with a motor that did not answer (goal 0); age of a reading p99 "
        f"{np.percentile(rows[:, AGE], 99) * 1e3:.1f} ms; line: {counts}; found: {found}{ended}"
    )


def follow(arguments: argparse.Namespace) -> None:
    """Record an episode by leader and follower, with everything that ``record`` has."""
    collection = Collection("pick_place", "koch", cameras=() if arguments.tags else CAMERAS)
    leading = Emulated("koch_leader", plant=partial(Hand, "koch_leader"))
    with (
        tempfile.TemporaryDirectory() as folder,
        Twin(TwinSetup(robot="koch")) as twin,
        DynamixelEmulator(leading) as emulator,
        twin_arm(twin, collection.cameras, sight=Sight(TAGS if arguments.tags else TRUTH)) as arm,
        LaterAlbum(Path(folder), collection) as album,
    ):
        leader = PoseLeader(connect_leader(ArmAddress("koch_leader", emulator.port)))
        session = FollowSession(arm, leader, album, "perf", CONSOLE.print, sim=True)
        session.begin()
        keep_time(BELOW)
        while not session.following:
            session.tick()
        session.press("s")
        for _ in range(round(arguments.seconds / PERIOD)):
            session.tick()
        session.press("y")
        found = arm.joints.log()[1]  # type: ignore[attr-defined]
    CONSOLE.print(f"found: {found}; {session.takes[0].cadence.to_json()}")


def soak(arguments: argparse.Namespace) -> None:
    """Drive a twin behind a bad line on its own clock and compare what is read with the truth."""
    began = time.monotonic()
    with (
        ClockTwin(TwinSetup(robot=arguments.robot, faults=BAD_LINE)) as twin,
        twin_arm(twin) as arm,
    ):
        start = begin(arm)
        log = arm.joints.log.findings  # type: ignore[attr-defined]
        stale = aborts = wrong = unflagged = resumed = 0
        oldest = 0.0
        for k in range(arguments.ticks):
            before = log["no answer"] + log["stale reading"]
            try:
                seen = arm.command(sway(start, k - resumed))
            except StoppedError:
                aborts += 1
                start, resumed = begin(arm), k
                continue
            flagged = log["no answer"] + log["stale reading"] > before
            sensed = arm.joints.sensed  # type: ignore[attr-defined]
            age = twin.now() - sensed.stamp
            oldest, stale = max(oldest, age), stale + (age > PERIOD)
            unflagged += age > PERIOD + 0.03 and not flagged
            truth = twin.truth.read()["joints"]
            # a value may be as old as its stamp says: no joint goes further in that time
            reach = np.array(arm.spec.velocity) * (age + PERIOD) + 0.01
            wrong += bool((np.abs(seen["qpos"] - truth) > reach).any())
    CONSOLE.print(
        f"{twin.setup.arm}, {arguments.ticks} control periods with {', '.join(BAD_LINE)} a motor "
        f"in {time.monotonic() - began:.0f} s: {aborts} aborts, {wrong} wrong values, {stale} with "
        f"a stale joint, {unflagged} of them not flagged, oldest reading {oldest * 1e3:.0f} ms; "
        f"found: {dict(log)}; line: {arm.joints.counts}"  # type: ignore[attr-defined]
    )


def stop(arguments: argparse.Namespace) -> None:
    """Let motors fail while the arm moves, in real time, and see when it rests."""
    for fault in ("overload@4", "over_temperature@9", "unplug@8", "unplug"):
        with Twin(TwinSetup(robot=arguments.robot)) as twin, twin_arm(twin) as arm:
            start = begin(arm)
            struck, told = 0.0, "nothing was noticed"
            try:
                for k in range(150):
                    if k == 75 and twin.bus is not None:
                        struck = time.monotonic()
                        twin.bus.inject(fault)
                    arm.command(sway(start, k))
            except StoppedError as error:
                told = str(error)
            time.sleep(0.5)
            servos = twin.bus.servos() if twin.bus is not None else {}
            goal = max(state.goal_at for state in servos.values()) - struck
            rest = max(state.moved_at for state in servos.values()) - struck
        CONSOLE.print(
            f"{fault}: last goal after {goal * 1e3:.0f} ms, at rest after {rest * 1e3:.0f} ms "
            f"(goal 250); {told[:160]}"
        )


def kills(arguments: argparse.Namespace) -> None:
    """Kill a recording session at random until it has 10 episodes, and count what was lost."""
    rng, kept, killed = np.random.default_rng(arguments.seed), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "data"
        words = ["record", "--twin", "--script", "--clock", "own", "--out", str(out)]
        command = [sys.executable, "-m", "scripts.main", *words, "--episodes", "10"]
        while True:
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as program:
                assert program.stdout is not None
                timer = threading.Timer(float(rng.uniform(5, 60)), program.kill)
                timer.start()
                kept += sum(" kept: " in line for line in program.stdout)
                timer.cancel()
            if program.returncode == 0:
                break
            killed += 1
        found = len(episode_files(out))
        whole = sum(read_episode(path).meta.success is True for path in episode_files(out))
    CONSOLE.print(
        f"killed {killed} times: {kept} episodes were said to be kept, {found} are there, "
        f"{whole} of them whole and successful; {max(0, kept - found)} lost (goal 0)"
    )


def trials(arguments: argparse.Namespace) -> None:
    """Run trials of a policy on the nominal starts of the protocol's test split."""
    from benchmarks.real_trial import trials_of
    from benchmarks.trial import cameras_of
    from policies.checkpoint import load_checkpoint

    policy = load_checkpoint(arguments.policy)
    protocol = PROTOCOLS[f"{policy.spec.task}/v1"]
    setup = TwinSetup(policy.spec.task, policy.spec.arm, GAPS[arguments.gap])
    kind = ClockTwin if arguments.clock == "own" else Twin
    outcomes, void, lost = [], 0, 0
    manner = PATIENT if arguments.patient else None
    cameras, sight = cameras_of(policy.spec), Sight(arguments.objects)
    with kind(setup) as twin, twin_arm(twin, cameras, manner, sight=sight) as arm:
        runs = trials_of(arm, policy)
        for ic in range(arguments.trials):
            trial = runs.run(protocol.start("nominal", ic, "test"), ic)
            if trial.void:
                void += 1
                continue
            outcomes.append(trial.success)
            lost += trial.lost
    CONSOLE.print(
        f"{policy.name} on the twin of {arm.spec.name} ({arguments.clock} clock, gap "
        f"{arguments.gap}, objects: {arguments.objects}): {sum(outcomes)} of {len(outcomes)} "
        f"succeeded, {void} void (invalid_hardware), {lost} lost ticks"
    )


PARTS = {
    "cadence": cadence,
    "follow": follow,
    "soak": soak,
    "stop": stop,
    "kills": kills,
    "trials": trials,
}


def main() -> int:
    """Run the parts asked for; return 0 whatever they say: they are figures, not tests."""
    parser = argparse.ArgumentParser(
        prog="python -m perf.twin",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", help="default: cadence, soak, stop")
    parser.add_argument("--robot", default="viperx", help="viperx, koch or (cadence) openarm")
    parser.add_argument("--seconds", type=float, default=60.0, help="of cadence and follow")
    parser.add_argument("--tags", action="store_true", help="of follow")
    parser.add_argument("--ticks", type=int, default=30_000, help="of soak")
    parser.add_argument("--seed", type=int, default=0, help="of kills")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--policy", type=Path, help="checkpoint folder, for trials")
    parser.add_argument("--clock", choices=("real", "own"), default="real", help="of trials")
    parser.add_argument("--patient", action="store_true", help="of trials: for a busy machine")
    parser.add_argument("--objects", choices=(TRUTH, TAGS), default=TRUTH, help="of trials")
    parser.add_argument("--gap", default="none", help=f"of trials: {', '.join(GAPS)}")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(PARTS):
        parser.error(f"unknown {', '.join(sorted(unknown))}; known: {', '.join(PARTS)}")
    for name in arguments.names or ("cadence", "soak", "stop"):
        PARTS[name](arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main())
