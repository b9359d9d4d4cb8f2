"""Plant defects in healthy policies and fill the table of docs/gate.md: python -m scripts.defects.

Not a command of ``armtrials``: it tests the gate, not a policy.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.gate.defects import DEFECTS, PIXELS, STATE, Caught, Healthy, catch, over_fit, table
from envs.atomic import write_atomic

OBSERVATIONS = {STATE: 1000, PIXELS: 200}
MARK = "<!-- defects -->\n"
DOC = Path(__file__).parent.parent / "docs" / "gate.md"


def main() -> int:
    """Run the defects of the tracks for which a healthy policy is named; return 0."""
    parser = argparse.ArgumentParser(prog="python -m scripts.defects", description=__doc__)
    for track in (STATE, PIXELS):
        what = f"healthy checkpoint of the {track} track, and its demonstrations"
        parser.add_argument(f"--{track}", nargs=2, type=Path, metavar=("POLICY", "DATA"), help=what)
    parser.add_argument("--trials", type=int, default=30, help="simulated, of each kind")
    parser.add_argument("--observations", type=int, help="recorded ones; else 1000, 200 of pixels")
    parser.add_argument("--only", default="", help="defects whose name contains this")
    parser.add_argument(
        "--write",
        action="store_true",
        help="put what was run into docs/gate.md; a track not run keeps its rows",
    )
    given = parser.parse_args()
    if given.write and given.only:
        parser.error("--write takes a whole track: leave --only away")
    found: list[Caught] = []
    for track in (STATE, PIXELS):
        if (named := getattr(given, track)) is None:
            continue
        healthy = Healthy.load(*named)
        own = [over_fit(named[1])] if track == STATE else []
        chosen = [d for d in (*DEFECTS, *own) if d.track == track and given.only in d.name]
        count = given.observations or OBSERVATIONS[track]
        found += catch(healthy, chosen, given.trials, count, _say)
    sys.stdout.write(table(found))
    if given.write:
        before, _, rest = DOC.read_text().partition(MARK)
        earlier, _, after = rest.partition(MARK)
        write_atomic(DOC, f"{before}{MARK}{table(found, earlier)}{MARK}{after}".encode())
    return 0


def _say(caught: Caught) -> None:
    word = "right" if caught.named else "WRONG"
    line = f"{word}: {caught.defect.name}: {caught.outcome}, {caught.cause}"
    sys.stderr.write(f"{line} ({caught.seconds:.0f} s)\n")


if __name__ == "__main__":
    sys.exit(main())
