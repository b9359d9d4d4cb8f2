"""Who demonstrates: one operator, or several who take turns."""

from envs.errors import UsageError
from envs.expert import OPERATORS, Operator
from envs.registry import Registry

CREWS: Registry[tuple[str, ...]] = Registry("crew")
CREWS.register("mixed", ("clean", "noisy", "slow", "fast"))


def crew(name: str) -> tuple[Operator, ...]:
    """Return the operators that ``name`` stands for: itself, or those of a crew.

    Each episode is demonstrated by one of them, drawn anew.

    Raises:
        UsageError: no operator and no crew has the name; the known ones are listed.
    """
    if name in CREWS:
        return tuple(OPERATORS[member] for member in CREWS[name])
    if name not in OPERATORS:
        known = ", ".join(sorted([*OPERATORS, *CREWS]))
        raise UsageError(f"unknown operator {name!r}; known: {known}")
    return (OPERATORS[name],)
