"""How the pictures that a healthy policy sees are broken."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.gate.planted import Adapted, Broken, Observations, See
from envs.arm import Array
from policies.base import Policy
from policies.preprocess import resize

PICTURES = "images/"


def pictures(change: Callable[[Array], Array], camera: str = "") -> See:
    """Change the pictures of every camera, or of one."""

    def see(obs: Observations) -> Observations:
        mine = PICTURES + camera
        return {k: change(v.copy()) if k.startswith(mine) else v for k, v in obs.items()}

    return see


def uncropped(x: Array) -> Array:
    """Return pictures whose middle holds what the whole ones do: things look smaller."""
    pad = [(0, 0)] * (x.ndim - 3) + [(4, 4), (4, 4), (0, 0)]
    return resize(np.pad(x, pad, mode="edge"), (x.shape[-3], x.shape[-2]))


def cropped(x: Array) -> Array:
    """Return the middle of pictures, enlarged, though the network crops them itself."""
    return resize(x[..., 4:-4, 4:-4, :], (x.shape[-3], x.shape[-2]))


def reversed_colours(x: Array) -> Array:
    """Return blue, green, red."""
    return x[..., ::-1].copy()


def upside_down(x: Array) -> Array:
    """Return the last row first."""
    return x[..., ::-1, :, :].copy()


def mirrored(x: Array) -> Array:
    """Return the last column first."""
    return x[..., ::-1, :].copy()


class Frozen(Adapted):
    """Sees for ever the first picture that a camera took."""

    camera = ""
    first: Array | None = None

    def act(self, obs: Observations) -> Array:
        """Answer to the picture of long ago."""
        key = PICTURES + self.camera
        if self.first is None:
            self.first = obs[key][:1].copy()
        still = np.broadcast_to(self.first, obs[key].shape).copy()
        return super().act({**obs, key: still})


def frozen(camera: str) -> Callable[[Path, Path], Broken]:
    """Return what plants a camera that delivers one picture for ever."""

    def plant(source: Path, folder: Path) -> Broken:
        def adapter(policy: Policy) -> Policy:
            made = Frozen(policy)
            made.camera = camera
            return made

        return Broken(source, adapter)

    return plant
