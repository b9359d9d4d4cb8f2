"""A Ray cluster of two machines, one of which leaves in the middle of the work."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from envs.cluster import executor_of
from envs.collect import collect
from envs.collection import Collection
from envs.errors import UsageError
from envs.pool import Pool

ray = pytest.importorskip("ray", reason='pip install "armtrials[cluster]"')

pytestmark = pytest.mark.timeout(600)
ROOM = 80 << 20
"""Bytes of a machine's object store; the least that Ray takes is 75 MiB."""


@dataclass(frozen=True)
class Wait:
    """Squares numbers once a file is there; notes which machine does what."""

    marks: Path
    gate: Path

    def __call__(self) -> Callable[[int], tuple[int, str | None, bool]]:
        return self.work

    def work(self, number: int) -> tuple[int, str | None, bool]:
        machine = ray.get_runtime_context().get_node_id()
        (self.marks / f"{number}-{machine}").touch()
        while not self.gate.exists():
            time.sleep(0.05)
        if number == 99:
            raise UsageError("ninety-nine is too many")
        return number**2, os.environ.get("OPENBLAS_NUM_THREADS"), Path.cwd().exists()


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        head = {"num_cpus": 1, "object_store_memory": ROOM, "include_dashboard": False}
        made = Cluster(initialize_head=True, head_node_args=head)
        try:
            yield made
        finally:
            ray.shutdown()
            made.shutdown()


def test_a_machine_that_leaves_costs_no_result_and_no_demonstration(
    cluster: Any, tmp_path: Path
) -> None:
    second = cluster.add_node(num_cpus=1, object_store_memory=ROOM)
    cluster.wait_for_nodes(timeout=300)
    executor = executor_of("ray", ray=[f"address={cluster.address}"])
    (tmp_path / "marks").mkdir()
    make = Wait(tmp_path / "marks", tmp_path / "gate")

    def leave() -> None:
        while len({path.name[2:] for path in make.marks.iterdir()}) < 2:  # both are in the middle
            time.sleep(0.05)
        cluster.remove_node(second, allow_graceful=False)
        make.gate.touch()

    with Pool(make, 2, executor) as pool, ThreadPoolExecutor(1) as beside:
        left = beside.submit(leave)
        found = list(pool.run(range(8)))
        left.result()
    assert found == [(n**2, "1", True) for n in range(8)]
    done = [path.name[0] for path in make.marks.iterdir()]
    assert sorted(set(done)) == list("01234567")
    assert len(done) <= 9, "only the job of the machine that left may have been begun twice"


def test_demonstrations_made_on_ray_are_those_of_a_serial_run(cluster: Any, tmp_path: Path) -> None:
    executor = executor_of("ray", ray=[f"address={cluster.address}", "cpus=1"])
    collect(Collection("pick_place"), 2, tmp_path / "here")
    collect(Collection("pick_place"), 2, tmp_path / "there", 2, executor=executor)
    for path in sorted((tmp_path / "here").glob("*.*")):
        assert path.read_bytes() == (tmp_path / "there" / path.name).read_bytes()
    assert len(list((tmp_path / "there").glob("*.hdf5"))) == 2


def test_a_mistake_in_a_job_on_ray_reaches_the_caller(cluster: Any, tmp_path: Path) -> None:
    (tmp_path / "gate").touch()
    executor = executor_of("ray", ray=[f"address={cluster.address}"])
    make = Wait(tmp_path, tmp_path / "gate")
    with Pool(make, 1, executor) as pool, pytest.raises(UsageError, match="too many"):
        list(pool.run([99]))


def test_no_cluster_and_wrong_options_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=r"--ray gpus must be a number from 0 up, got 'many'"):
        executor_of("ray", ray=["gpus=many"])
    monkeypatch.setattr(ray, "is_initialized", lambda: False)

    def init(*_: object, **__: object) -> None:
        raise ConnectionError("nobody answers")

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(UsageError, match=r"no Ray cluster at elsewhere: .*ray start --head"):
        executor_of("ray", ray=["address=elsewhere"])


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_a_head_that_does_not_answer_is_told_before_ray_asks_for_it(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    asked: list[str] = []
    monkeypatch.setattr(ray, "init", lambda address, **_: asked.append(address))
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 8})
    with socket.socket() as ear:
        ear.bind(("127.0.0.1", 0))
        place = f"{scheme}127.0.0.1:{ear.getsockname()[1]}"
        told = rf"no Ray cluster at {place}: start one with .*\(\[Errno \d+\] Connection refused\)"
        with pytest.raises(UsageError, match=told):
            executor_of("ray", ray=[f"address={place}"])
        assert not asked
        ear.listen()
        executor_of("ray", ray=[f"address={place}"])
    assert asked == [place]


def test_a_head_at_an_address_with_colons_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    asked: list[str] = []
    monkeypatch.setattr(ray, "init", lambda address, **_: asked.append(address))
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 8})
    knocked: list[tuple[str, int]] = []

    def connect(place: tuple[str, int], timeout: float) -> socket.socket:
        knocked.append(place)
        return socket.socket()

    monkeypatch.setattr(socket, "create_connection", connect)
    executor_of("ray", ray=["address=[::1]:6379"])
    assert (knocked, asked) == ([("::1", 6379)], ["[::1]:6379"])


def test_an_address_without_a_port_number_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(UsageError, match="no Ray cluster at head:many"):
        executor_of("ray", ray=["address=head:many"])
