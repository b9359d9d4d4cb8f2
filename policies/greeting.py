"""What a policy server says of itself when it is greeted (docs/serving.md)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from envs.errors import UsageError
from policies.base import PolicySpec
from policies.configs import from_json
from policies.wire import MAX_MESSAGE, PROTOCOL, VERSION, WireError, field


@dataclass(frozen=True)
class Greeting:
    """What a server says of itself and of the policy it serves.

    Attributes:
        spec: what the policy was made for.
        entry: the manifest's entry of the policy.
        max_message: largest message the server reads [bytes].
        max_batch: most trials it acts for at once, None for any number.
    """

    spec: PolicySpec
    entry: Mapping[str, Any]
    max_message: int
    max_batch: int | None

    @classmethod
    def read(cls, hello: Mapping[str, Any], where: str) -> "Greeting":
        """Read a server's hello.

        Raises:
            UsageError: another protocol or version, or a description that cannot be.
        """
        spoken = (hello.get("protocol"), hello.get("version"))
        if spoken != (PROTOCOL, VERSION):
            raise UsageError(
                f"{where} speaks {spoken[0]} version {spoken[1]}, this is {PROTOCOL} version "
                f"{VERSION}: use the same version of ArmTrials at both ends"
            )
        try:
            policy = field(hello, "policy", dict)
            spec = from_json(PolicySpec, field(policy, "spec", dict), f"{where}, policy.spec")
            batch = hello.get("max_batch")
            most = None if batch is None else int(field(hello, "max_batch", int))
            size = int(field({"max_message": MAX_MESSAGE, **hello}, "max_message", int))
            return cls(spec, _entry(policy, hello.get("server")), size, most)
        except (WireError, AttributeError, IndexError, KeyError) as error:
            raise UsageError(f"{where} describes its policy wrongly: {error}") from error


def _entry(policy: Mapping[str, Any], server: object) -> dict[str, Any]:
    """Return the manifest's entry of a served policy; only name and hash must be told."""
    name, hashes = field(policy, "name", str), field(policy, "hashes", dict)
    if not name.strip() or not isinstance(hashes.get("weights"), str):
        raise WireError("policy.name and policy.hashes.weights must be texts")
    seed = policy.get("seed")
    return {
        "name": name,
        "algorithm": str(policy.get("algorithm", name)),
        "preset": str(policy.get("preset", "")),
        "seed": seed if type(seed) is int else None,
        "floor": policy.get("floor") is True,
        "hashes": {str(key): str(value) for key, value in hashes.items()},
        "data": dict(field({"data": {}, **policy}, "data", dict)),
        "training": dict(field({"training": {}, **policy}, "training", dict)),
        "remote": {"protocol": f"{PROTOCOL} {VERSION}", **_texts(server)},
    }


def _texts(found: object) -> dict[str, str]:
    """Return the entries of a map as texts; nothing of what is no map."""
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}
