"""Which observation of ArmTrials is which input of a LeRobot policy, and in which unit."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Array = NDArray[Any]

SURROUNDINGS = "observation.environment_state"
VECTORS = {
    "observation.state": "qpos", "observation.velocity": "qvel", "observation.effort": "effort",
}  # fmt: skip
OBJECT, POSE = "observation.objects.", 7
"""Begins the names of objects in data sets that ``armtrials convert`` makes; size of a pose."""
CAMERAS = ("overhead", "wrist", "left_wrist", "right_wrist")
"""Cameras of ArmTrials; a camera of the policy with one of these names is shown that one."""
EMPTY = "observation.images.empty_camera_"
"""Begins the names of cameras that are declared and that LeRobot itself fills."""
PERCENT = 100.0


class MistakeError(ValueError):
    """What a user can mend: told in one line, exit code 2."""


@dataclass(frozen=True)
class Asked:
    """What a user says of the observations.

    Attributes:
        joints: names of the joints, in the order of an action.
        cameras: ``OURS=THEIRS`` each.
        objects: our objects whose poses are ``observation.environment_state``, in order.
        without: inputs of the policy that it is not given.
        degrees: the policy counts in degrees, grippers in percent.
    """

    joints: Sequence[str]
    cameras: Sequence[str] = ()
    objects: Sequence[str] = ()
    without: Sequence[str] = ()
    degrees: bool = False


@dataclass(frozen=True)
class Inputs:
    """What the policy's inputs are made of.

    Attributes:
        vectors: by key of LeRobot, our keys, one behind the other.
        cameras: by key of LeRobot, our key.
        shapes: by our key, the shape of one observation; images (h, w, 3).
        scale: (joints,) what 1 of ours, rad or gripper opening, is in the policy's unit.
    """

    vectors: Mapping[str, tuple[str, ...]]
    cameras: Mapping[str, str]
    shapes: Mapping[str, tuple[int, ...]]
    scale: Array

    def step(self, obs: Mapping[str, Array], at: int) -> dict[str, torch.Tensor]:
        """Return one observation step as LeRobot's data sets have it.

        Args:
            obs: our keys, each (trials, n_obs, *shape).
            at: which step.

        Returns:
            By key of LeRobot, float32: vectors (trials, size) in the policy's unit, images
            (trials, 3, h, w) from 0 to 1.
        """
        made = {}
        for key, ours in self.vectors.items():
            parts = [self._in_unit(name, obs[name][:, at]) for name in ours]
            made[key] = torch.from_numpy(np.concatenate(parts, axis=1).astype(np.float32))
        for key, name in self.cameras.items():
            picture = torch.from_numpy(np.array(obs[name][:, at]))
            made[key] = picture.permute(0, 3, 1, 2).contiguous().to(torch.float32) / 255
        return made

    def targets(self, actions: Array) -> Array:
        """Return actions (..., joints) of the policy in our units: rad, grippers 0..1; float32."""
        return np.asarray(actions / self.scale, np.float32)

    def _in_unit(self, name: str, value: Array) -> Array:
        return value * self.scale if name in ("qpos", "qvel") else value


def scale_of(joints: Sequence[str], degrees: bool) -> Array:
    """Return (joints,) what 1 of ours is in the policy's unit: 1, or degrees and percent."""
    if not degrees:
        return np.ones(len(joints))
    return np.array([PERCENT if name.endswith("gripper") else 180 / np.pi for name in joints])


def choose_inputs(config: Any, asked: Asked) -> Inputs:  # noqa: ANN401
    """Say which observation of ours each input of a policy is.

    Args:
        config: LeRobot's config of the policy.
        asked: what the user says.

    Raises:
        MistakeError: an input that nothing of ours is, sizes that differ, a key that is none.
    """
    features = {key: tuple(found.shape) for key, found in config.input_features.items()}
    for key in asked.without:
        _check_known("--without", key, features)
    given = [key for key in features if key not in asked.without and not key.startswith(EMPTY)]
    images = [key for key in given if key in config.image_features]
    cameras = choose_cameras(images, asked.cameras)
    vectors = {key: _vector(key, asked.objects) for key in given if key not in images}
    n = len(asked.joints)
    sizes = {
        name: POSE if name.startswith("objects/") else n for k in vectors for name in vectors[k]
    }
    for key, ours in vectors.items():
        size = sum(sizes[name] for name in ours)
        if features[key] != (size,):
            raise MistakeError(
                f"{key} of the policy has the shape {features[key]}, {' + '.join(ours)} of "
                f"--joints {' '.join(asked.joints)} has {(size,)}"
            )
    _check_action(config.action_feature, asked.joints)
    shapes: dict[str, tuple[int, ...]] = {name: (size,) for name, size in sizes.items()}
    for key, name in cameras.items():
        channels, height, width = features[key]
        shapes[name] = (height, width, channels)
    return Inputs(vectors, cameras, shapes, scale_of(asked.joints, asked.degrees))


def choose_cameras(images: Sequence[str], pairs: Iterable[str]) -> dict[str, str]:
    """Return, by key of LeRobot, our key of each camera: as ``pairs`` say, or of the same name.

    Raises:
        MistakeError: a camera that has none, or a pair that cannot be.
    """
    told: dict[str, str] = {}
    for pair in pairs:
        ours, _, key = pair.partition("=")
        if not (ours and key):
            raise MistakeError(f"--camera must be OURS=THEIRS, got {pair!r}")
        _check_known("--camera", key, images)
        if key in told or ours in told.values():
            raise MistakeError(f"--camera must name each camera once, got {pair!r} besides")
        told[key] = ours
    for key in images:
        name = key.rpartition(".")[2]
        if key not in told:
            if name not in CAMERAS or name in told.values():
                raise MistakeError(
                    f"no camera is mapped to {key}: say --camera OURS={key}, or --without {key}; "
                    f"ours: {', '.join(CAMERAS)}; the policy's: {', '.join(images)}"
                )
            told[key] = name
    return {key: f"images/{told[key]}" for key in images}


def _vector(key: str, objects: Sequence[str]) -> tuple[str, ...]:
    """Return our keys for an input that is no image."""
    if key in VECTORS:
        return (VECTORS[key],)
    if key.startswith(OBJECT):
        return (f"objects/{key.removeprefix(OBJECT)}",)
    if key == SURROUNDINGS and objects:
        return tuple(f"objects/{name}" for name in objects)
    if key == SURROUNDINGS:
        raise MistakeError(f"the policy reads {key}: say by --objects whose poses it is made of")
    raise MistakeError(
        f"nothing of ours is {key}; known: {', '.join(VECTORS)}, {SURROUNDINGS} (by --objects), "
        f"{OBJECT}NAME, cameras. Where the policy can do without it: --without {key}"
    )


def _check_known(option: str, key: str, known: Iterable[str]) -> None:
    if key not in known:
        raise MistakeError(f"{option}: the policy reads no {key!r}; it reads {', '.join(known)}")


def _check_action(feature: Any, joints: Sequence[str]) -> None:  # noqa: ANN401
    shape = None if feature is None else tuple(feature.shape)
    if shape != (len(joints),):
        raise MistakeError(
            f"an action of the policy has the shape {shape}, --joints names {len(joints)}: "
            f"{' '.join(joints)}"
        )
