"""Where a training begins: with fresh weights, or with those of another checkpoint."""

from pathlib import Path

from envs.errors import UsageError
from policies.base import Algorithm, AlgorithmConfig, PolicySpec
from policies.checkpoint import load_network
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
    pairs = {
        "algorithm": (type(policy.algorithm).__name__, algorithm.__name__),
        "settings": (policy.algorithm.config, config),
        "arm": (policy.spec.arm, spec.arm),
        "observations": tuple(fixed(one) for one in (policy.spec, spec)),
    }
    for what, (found, wanted) in pairs.items():
        if found != wanted:
            raise UsageError(
                f"{folder}: training cannot begin with it: its {what} must be {wanted}, got {found}"
            )
    if spec.language:
        policy.normalizer = scaled(policy.normalizer, spec)
    return policy
