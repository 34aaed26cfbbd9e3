"""What the losses with an angular margin share."""

import torch

CLOSEST = 1 - 1e-6


class FiniteAngles:
    """Mix-in for pytorch-metric-learning's ArcFace losses: the slope of the angle stays finite at cosine 1 and -1.

    There acos has an infinite slope, and one embedding that coincides with its class weight would turn every weight
    into NaN. Beyond `CLOSEST` the angle counts as reached, with slope 0.
    """

    def get_angles(self, cosine_of_target_classes: torch.Tensor) -> torch.Tensor:
        """Return the angles (B,) in radians between the embeddings and the weights of their own class."""
        return torch.acos(cosine_of_target_classes.clamp(-CLOSEST, CLOSEST))
