"""Control tables of Dynamixel servos, read from the model files that dynamixel-sdk brings.

No address is typed here. The files are found without importing the SDK, and only they are used.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from envs.errors import UsageError

INSTALL = "pip install 'armtrials[dynamixel]' (dynamixel-sdk and pyserial)"

TICKS = 4096
"""Positions in a turn (e-Manual: resolution of the X series)."""


@dataclass(frozen=True)
class Item:
    """A register: where it stands in the control table and how many bytes it has."""

    address: int
    size: int

    @property
    def end(self) -> int:
        """The address behind its last byte."""
        return self.address + self.size


@dataclass(frozen=True)
class Table:
    """The control table of one model.

    Attributes:
        model: name of its file, such as ``xm540_w270``.
        number: what the servo says of itself in Model Number.
        items: the registers by the names of the e-Manual.
        zero: the position that is 0 rad [ticks].
        velocity: one unit of a velocity register [rad/s].
    """

    model: str
    number: int
    items: Mapping[str, Item]
    zero: int
    velocity: float

    def __getitem__(self, name: str) -> Item:
        """Return the register ``name``; a ``KeyError`` names the model."""
        try:
            return self.items[name]
        except KeyError:
            raise KeyError(f"{self.model} has no register {name!r}") from None

    def __contains__(self, name: object) -> bool:
        """Tell whether the model has the register ``name``."""
        return name in self.items

    @property
    def load(self) -> str:
        """Name of the register that tells the effort: of the current, or of the load."""
        return "Present Current" if "Present Current" in self else "Present Load"


def folder() -> Path:
    """Return the folder of the model files.

    Raises:
        UsageError: dynamixel-sdk is not installed; says how to install it.
    """
    found = find_spec("dynamixel_easy_sdk")
    if found is None or not found.submodule_search_locations:
        raise UsageError(f"the control tables come with dynamixel-sdk, which is missing: {INSTALL}")
    return Path(found.submodule_search_locations[0]) / "control_table"


@cache
def numbers() -> Mapping[str, int]:
    """Return the model numbers by model name, as ``dynamixel.model`` lists them."""
    rows = (folder() / "dynamixel.model").read_text(encoding="utf-8").splitlines()[1:]
    pairs = (row.split("\t") for row in rows if row.strip())
    return {name.removesuffix(".model"): int(number) for number, name in pairs}


@cache
def table(model: str) -> Table:
    """Return the control table of ``model``.

    Raises:
        UsageError: no such model; lists those of the SDK.
    """
    if model not in numbers():
        raise UsageError(f"unknown servo {model!r}; known: {', '.join(sorted(numbers()))}")
    sections = _sections((folder() / f"{model}.model").read_text(encoding="utf-8"))
    kind = {row[0]: row[1] for row in sections["type info"]}
    units = {row[0]: float(row[1]) for row in sections["unit info"]}
    items = {row[2]: Item(int(row[0]), int(row[1])) for row in sections["control table"]}
    return Table(
        model,
        numbers()[model],
        items,
        int(kind["value_of_zero_radian_position"]),
        units["Present Velocity"],
    )


def model_of(number: int) -> str:
    """Return the name of the model that calls itself ``number``, or ``model <number>``."""
    for name, known in numbers().items():
        if known == number:
            return name
    return f"model {number}"


def _sections(text: str) -> dict[str, list[list[str]]]:
    """Split a model file into its sections' rows, without each section's line of titles."""
    sections: dict[str, list[list[str]]] = {}
    rows: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith("["):
            rows = sections.setdefault(line.strip("[] \t"), [])
        elif line.strip():
            rows.append(line.strip().split("\t"))
    return {name: rows[1:] for name, rows in sections.items()}
