"""The pose prior as a network: bones' coordinates, then a flow (training and export only)."""

import torch
from torch import Tensor, nn

from .prior_coordinates import DIMS, BoneCoordinates
from .prior_flow import Flow, FlowConfig

__all__ = ["PoseFlow"]


class PoseFlow(nn.Module):
    """Log-density of poses in their frame (`prior_frame`), over the joints that are seen."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.coordinates = BoneCoordinates()
        self.flow = Flow(config)

    def fit(self, poses: Tensor) -> None:
        """Take the scales from whole poses (B, 51), so that training begins near the answer."""
        self.coordinates.fit(poses)
        self.flow.fit_scale(self.coordinates(poses, torch.ones(len(poses), 17))[0])

    def forward(self, poses: Tensor, seen: Tensor) -> Tensor:
        """(B, 1) nats of poses (B, 51) whose seen joints (B, 17) are ones."""
        coordinates, log_det = self.coordinates(poses, seen)
        nats: Tensor = log_det + self.flow.log_prob(coordinates, seen)
        return nats

    def sample(self, count: int, generator: torch.Generator | None = None) -> Tensor:
        """(count, 51) whole poses."""
        noise = torch.randn(count, DIMS, generator=generator)
        return self.coordinates.inverse(self.flow.inverse(noise, torch.ones(count, 17)))
