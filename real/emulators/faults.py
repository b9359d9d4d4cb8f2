"""How a fault of an emulated device is written: ``name``, ``name=value``, ``@place`` after it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from envs.errors import UsageError


@dataclass(frozen=True)
class Kind:
    """A kind of fault: what it does, its value where none is given, and its largest."""

    what: str
    value: float = 1.0
    most: float = 1.0


def parse_fault(
    text: str, kinds: Mapping[str, Kind], place: str, places: str = r"\w+"
) -> tuple[str, float, str | None]:
    """Read a fault.

    Args:
        text: as the user wrote it.
        kinds: the device's faults by name.
        place: what stands behind the ``@``, for the message.
        places: regular expression of what may stand there.

    Returns:
        Its name, its value, and where it is; None: everywhere.

    Raises:
        UsageError: it cannot be read; lists the known faults.
    """
    form = rf"(?P<name>\w+)(?:=(?P<value>[\d.eE+-]+))?(?:@(?P<place>{places}))?"
    found = re.fullmatch(form, text.strip())
    if found is None or found["name"] not in kinds:
        known = ", ".join(kinds)
        raise UsageError(
            f"unknown fault {text!r}; write name[=value][@{place}] with one of: {known}"
        )
    kind = kinds[found["name"]]
    try:
        value = kind.value if found["value"] is None else float(found["value"])
    except ValueError:
        raise UsageError(f"fault {text!r}: {found['value']!r} is no number") from None
    if not 0 <= value <= kind.most:
        raise UsageError(f"fault {text!r}: the value must be 0..{kind.most:g}")
    return found["name"], value, found["place"]
