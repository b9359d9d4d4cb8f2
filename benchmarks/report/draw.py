"""A Vega-Lite figure as PNG, drawn by a process of its own; this file is also that process.

vl-convert begins V8 in a thread of its own. On processors with memory protection keys, V8 that is
not begun by the main thread can end its process without a word (rusty_v8 #1381). Here only the
child ends, and is begun once more.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CHILD = Path(__file__)
TRIES = 2
SCALE = 2
LONGEST = 300
"""Characters of a reason that are told."""


def png(figure: Mapping[str, Any]) -> bytes:
    """Return a Vega-Lite specification as a PNG of ``SCALE`` pixels a unit.

    Raises:
        RuntimeError: vl-convert refuses it, or its process ended ``TRIES`` times.
    """
    told = json.dumps(figure).encode()
    for _ in range(TRIES):
        words = [sys.executable, "-P", str(CHILD)]  # -P: the modules beside this file are not seen
        done = subprocess.run(words, input=told, capture_output=True, check=False)
        if done.returncode == 0:
            return done.stdout
        if done.returncode > 0:  # it said why; a signal is below 0
            break
    why = done.stderr.decode(errors="replace").strip()[:LONGEST]
    raise RuntimeError(
        f"a figure could not be drawn: vl-convert ended with {done.returncode} {why}".strip()
    )


if __name__ == "__main__":
    import vl_convert  # 40 MB of library

    try:
        sys.stdout.buffer.write(vl_convert.vegalite_to_png(json.load(sys.stdin), scale=SCALE))
    except ValueError as error:
        sys.exit(" ".join(str(error).split()))
