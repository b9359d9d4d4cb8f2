"""What a trained policy is called, on the leaderboard and in its records."""

BLIND = "blind"
"""Ends the name of a policy that does not see the scene: a floor."""


def policy_name(algorithm: str, variant: str = "", blind: bool = False) -> str:
    """Return ``act``, or ``diffusion-epsilon`` of a preset's variant, or ``act-blind``."""
    return "-".join([algorithm, *filter(None, (variant,)), *([BLIND] if blind else [])])
