"""Where a training begins: with fresh weights, or with those of another checkpoint."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from envs.errors import UsageError
from policies.base import DELTA, Algorithm, AlgorithmConfig, PolicySpec
from policies.checkpoint import load_network
from policies.sentences import NGRAMS, encoder_of, with_encoder
from policies.train_config import chunked
from policies.trained import TrainedPolicy, fixed, scaled


def begin_with(
    folder: Path | None, algorithm: type[Algorithm], config: AlgorithmConfig, spec: PolicySpec
) -> TrainedPolicy | None:
    """Return the policy of ``folder`` to go on from, None where there is none to.

    Its weights and the scaling they were trained under belong together: both are kept.

    Raises:
        UsageError: the checkpoint is broken, or of another algorithm, size, arm or observation.
    """
    if folder is None:
        return None
    policy = load_network(folder)
    cannot = f"{folder}: training cannot begin with it:"
    pairs = {
        "algorithm": (type(policy.algorithm).__name__, algorithm.__name__),
        "arm": (policy.spec.arm, spec.arm),
        "observations": tuple(fixed(one) for one in (policy.spec, spec)),
    }
    for what, (found, wanted) in pairs.items():
        if found != wanted:
            raise UsageError(f"{cannot} its {what} must be {wanted}, got {found}")
    if apart := list(differences(policy.algorithm.config, config)):
        raise UsageError(
            f"{cannot} it has other settings than asked for ({', '.join(apart)}); "
            f"{_advice(algorithm, policy.algorithm.config, spec.track)}"
        )
    if spec.language:
        policy.normalizer = scaled(policy.normalizer, spec)
    return policy


def differences(found: Any, wanted: Any, name: str = "") -> Iterator[str]:  # noqa: ANN401  (values)
    """Yield where two configurations of one class differ: ``layers.width 32, not 64``."""
    if is_dataclass(found) and type(found) is type(wanted):
        for part in fields(found):
            inner = f"{name}.{part.name}".lstrip(".")
            yield from differences(getattr(found, part.name), getattr(wanted, part.name), inner)
    elif found != wanted:
        yield f"{name} {found}, not {wanted}"


def _advice(algorithm: type[Algorithm], found: AlgorithmConfig, track: str) -> str:
    """Say which options ask for the settings ``found``."""
    known = {
        name: made.config for (where, name), made in algorithm.PRESETS.items() if where == track
    }
    ending = DELTA if found.actions == "delta" else ""
    encoder = encoder_of(found)
    read = f" --sentences {encoder}" if encoder not in (None, NGRAMS) else ""
    plain = with_encoder(replace(found, actions="absolute"), NGRAMS if read else None)
    for name, config in known.items():
        if config == plain:
            return f"give --preset {name}{ending}{read}"
        if chunked(config, found.chunk) == plain:
            return f"give --preset {name}{ending}{read} --chunk {found.chunk}"
    return f"no preset has its own; known: {', '.join(known)}"
