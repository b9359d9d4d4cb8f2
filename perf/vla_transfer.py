"""Does pre-training pay? ``python -m perf.vla_transfer --help``; see docs/vla.md."""

import argparse
import sys
from pathlib import Path

from benchmarks.experiments_vla import TransferConfig, told, transfer
from policies.lora import LoraConfig


def main() -> None:
    """Run the experiment and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, nargs="+", required=True, help="folders to pre-train on"
    )
    parser.add_argument("--held", type=Path, required=True, help="folder of the new task")
    parser.add_argument("--protocol", required=True, help="of the new task, as insertion/v1")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--demonstrations", type=int, default=50)
    parser.add_argument("--most", type=int, default=200, help="episodes of each of --data")
    parser.add_argument("--steps", type=int, nargs=2, default=(2000, 700), help="before, after")
    parser.add_argument("--batch", type=int, help="windows a step (default: the preset's)")
    parser.add_argument("--lora", type=int, default=32, help="rank")
    parser.add_argument("--lr", type=float, default=1e-3, help="of the adaptation")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--preset", default="cpu")
    parser.add_argument("--seed", type=int, default=0)
    given = vars(parser.parse_args())
    given |= {
        "data": tuple(given["data"]),
        "steps": tuple(given["steps"]),
        "lora": LoraConfig(rank=given["lora"]),
    }
    done = 0

    def advance(steps: int) -> None:
        nonlocal done
        done += steps
        if done % 100 == 0:
            sys.stderr.write(f"\r{done} steps")

    def say(text: str) -> None:
        sys.stderr.write(f"\r{text}\n")

    for line in told(transfer(TransferConfig(**given), advance, say)):
        sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
