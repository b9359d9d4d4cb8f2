"""How chunks are carried out on an arm: options that several commands share."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from benchmarks.execution import Wanted


@dataclass(frozen=True)
class Chunks:
    """What is asked of the execution of predicted chunks."""

    execute: int | None = None
    """Actions of a chunk before the next prediction; default: as the checkpoint says."""
    ensemble: float | None = None
    """Decay of the temporal ensemble; default: none."""
    delay: int = 0
    """Control steps that a prediction may take while the actions before it run on."""
    ddim_steps: int | None = None
    """Denoising steps of a diffusion policy or of flow; default: as the checkpoint says."""
    sampler: Literal["ddim", "dpm"] | None = None
    """How a diffusion policy denoises; default: as the checkpoint says."""

    def wanted(self) -> "Wanted":
        """Return what is asked for."""
        from benchmarks.execution import Wanted

        return Wanted(self.execute, self.ensemble, self.delay, self.ddim_steps, self.sampler)
