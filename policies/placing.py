"""A language policy before other objects than those it was trained on.

Its network takes any number of objects by their names (``policies.vla``); what is left to do is to
say which there are, and to scale those it has not seen as it scales all others.
"""

from collections.abc import Sequence
from dataclasses import replace

from policies.base import Policy, PolicySpec
from policies.normalize import Normalizer, Stats
from policies.trained import TrainedPolicy

OBJECTS = "objects/"
POSE = (7,)


def fixed(spec: PolicySpec) -> dict[str, tuple[int, ...]]:
    """Return the observations without which a policy cannot be: of a language policy no objects."""
    seen = spec.observations.items()
    return {k: s for k, s in seen if not (spec.language and k.startswith(OBJECTS))}


def placed(policy: Policy, task: str, objects: Sequence[str]) -> Policy:
    """Return a language policy as it acts in ``task``, where there are ``objects``.

    Any other policy, and one that sees pictures, is returned as it is.
    """
    spec = policy.spec
    if not (isinstance(policy, TrainedPolicy) and spec.language) or spec.track != "state":
        return policy
    there = {f"{OBJECTS}{name}": POSE for name in objects}
    policy.spec = replace(spec, task=task, observations={**fixed(spec), **there})
    policy.normalizer = scaled(policy.normalizer, policy.spec)
    return policy


def scaled(normalizer: Normalizer, spec: PolicySpec) -> Normalizer:
    """Return the scaling of a language policy for the objects of ``spec``: one for all."""
    stats = normalizer.stats
    known = next((one for key, one in stats.keys.items() if key.startswith(OBJECTS)), None)
    if known is None:
        return normalizer
    others = {key: one for key, one in stats.keys.items() if not key.startswith(OBJECTS)}
    there = {key: known for key in spec.vectors if key.startswith(OBJECTS)}
    return Normalizer(Stats(others | there), normalizer.mode)
