"""Which run a training is, and what its checkpoint says of where it came from."""

from typing import TYPE_CHECKING, Any

from policies.adapter import whereabouts
from policies.configs import to_json
from policies.stream import Stream
from policies.train_session import device_name, versions

if TYPE_CHECKING:
    from policies.base import PolicySpec
    from policies.train import Trainer
    from policies.trained import TrainedPolicy


def identity(run: "Trainer") -> dict[str, Any]:
    """Return what decides the weights: two runs with the same are the same run."""
    config = run.config
    return {
        "algo": config.algo,
        "settings": to_json(run.plan.config),
        "training": to_json(run.plan.training),
        "seed": config.seed,
        "track": config.track,
        "blind": config.blind,
        "data": run.data.fingerprint,
        "validation": list(run.data.validation),
        "observations": to_json(run.algorithm.spec)["observations"],
        **({"initial": run.begun.hashes["weights"]} if run.begun else {}),
        **({"lora": to_json(config.lora)} if config.lora else {}),
        **({"processes": run.team.size} if run.team.size > 1 else {}),
    }


def provenance(run: "Trainer") -> dict[str, Any]:
    """Return what is written last into a checkpoint folder."""
    config, source, state = run.config, run.source, run.state
    return {
        "schema": 1,
        "algorithm": config.algo,
        "preset": run.begun.provenance["preset"] if run.begun else config.preset,
        "seed": config.seed,
        "track": config.track,
        "blind": config.blind,
        "data": source.provenance(state.step)
        if isinstance(source, Stream)
        else source.provenance(),
        "training": {
            "steps": state.step,
            "wall_s": round(state.seconds[0], 2),
            "cpu_s": round(state.seconds[1], 2),
            "parameters": sum(p.numel() for p in run.algorithm.parameters()),
            "device": device_name(run.device),
            "precision": "bf16" if run.bf16 else "fp32",
            "threads": config.threads,
            "loss": list(state.history[-1]) if state.history else [],
            **({"lora": to_json(config.lora)} if config.lora else {}),
            **({"processes": run.team.size} if run.team.size > 1 else {}),
        },
        **({"scaling": kept_scaling(run.begun, run.spec)} if run.begun else {}),
        **whereabouts(config),
        "versions": versions(),
        "identity": run.identity,
    }


def kept_scaling(begun: "TrainedPolicy", spec: "PolicySpec") -> dict[str, Any]:
    """Return which demonstrations the scaling of a training that began with ``begun`` is of.

    Args:
        begun: with its own scaling.
        spec: of the policy that goes on from it.

    Returns:
        Of ``data`` of the provenance of the first of such trainings what names demonstrations; of
        one that went on with another arm the arms, since its scaling is of both. Nothing where a
        training before did not tell.
    """
    arms = [begun.spec.arm, spec.arm]
    if arms[0] != arms[1]:
        return {"arms": arms}
    before = begun.provenance
    if "initial" in before.get("identity", {}) and "scaling" not in before:
        return {}  # it was trained before this was told
    known = before.get("scaling") or before["data"]
    return {k: known[k] for k in ("fingerprint", "train", "stream", "arms") if k in known}
