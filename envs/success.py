"""How an episode of somebody else's environment is judged: a named ``info`` key, or the return."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from envs.errors import UsageError


@dataclass(frozen=True)
class Success:
    """How an episode of a foreign environment is judged.

    Attributes:
        text: as written: the name of an ``info`` key, ``return>NUMBER`` or ``return>=NUMBER``.
        key: of ``info``; None where the return is judged.
        threshold: that the return (sum of rewards) must exceed; with ``reached`` equality counts.
    """

    text: str
    key: str | None = field(init=False)
    threshold: float = field(init=False, default=math.nan)
    reached: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        """Read ``text``.

        Raises:
            UsageError: it is neither.
        """
        found = re.fullmatch(r"return\s*(>=?)\s*([-+]?[0-9.]+(?:e[-+]?[0-9]+)?)", self.text, re.I)
        rule = "success must be an info key, return>NUMBER or return>=NUMBER"
        try:
            threshold = float(found[2]) if found else math.nan
        except ValueError:
            raise UsageError(f"{rule}, got {self.text!r}") from None
        if found is None and not re.fullmatch(r"(?!return\b)\w[\w./ -]*", self.text):
            raise UsageError(f"{rule}, got {self.text!r}")
        settle = object.__setattr__
        settle(self, "key", None if found else self.text)
        settle(self, "threshold", threshold)
        settle(self, "reached", found is not None and found[1] == ">=")

    def of_return(self, value: float) -> bool:
        """Tell whether a return is a success."""
        return value >= self.threshold if self.reached else value > self.threshold


@dataclass
class Verdict:
    """What is known of a running episode's success.

    Attributes:
        success: how it is judged.
        value: return so far.
        now: success at the last step.
        ever: success at some step (of a return: at the last).
        keys: of ``info`` seen so far.
    """

    success: Success
    value: float = 0.0
    now: bool = False
    ever: bool = False
    keys: set[str] = field(default_factory=set)

    def add(self, reward: float, info: Mapping[str, Any]) -> None:
        """Account for one step."""
        self.value += float(reward)
        if self.success.key is None:
            self.now = self.ever = self.success.of_return(self.value)
            return
        self.keys |= set(info)
        if self.success.key in info:
            self.now = bool(np.all(info[self.success.key]))
            self.ever |= self.now

    def check(self, name: str) -> None:
        """Refuse a key that the environment ``name`` never reported in a whole episode."""
        if self.success.key is not None and self.success.key not in self.keys:
            known = ", ".join(sorted(self.keys)) or "none"
            raise UsageError(
                f"{name} reports no {self.success.key!r} in info; known: {known}; "
                "a return threshold needs no key: return>NUMBER"
            )
