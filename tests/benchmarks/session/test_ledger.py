"""The log of a session: no byte of it can be edited unnoticed."""

from pathlib import Path

import numpy as np

from benchmarks.session.ledger import FILE, read_ledger
from envs.errors import UsageError
from tests.benchmarks.session.stand_in import finish, held, lock_session


def test_an_edit_of_any_event_is_found(tmp_path: Path) -> None:
    lock = lock_session(tmp_path, blocks=1)
    with held(tmp_path) as session:
        finish(session)
    path = tmp_path / FILE
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    found = 0
    for at_byte, bit in zip(
        rng.integers(0, len(data) - 1, 1000), rng.integers(1, 256, 1000), strict=True
    ):
        edited = bytearray(data)
        edited[at_byte] ^= int(bit)
        path.write_bytes(bytes(edited))
        try:
            events = read_ledger(tmp_path, lock.hash)
            found += events[-1]["kind"] != "closed"  # a torn last line: the session is open again
        except UsageError:
            found += 1
    assert found == 1000
