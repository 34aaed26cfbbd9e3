"""Hyperbolic space in torch: the Poincare ball and the hyperboloid, with geoopt's maths.

A space of curvature -c is that of curvature -1 with all lengths divided by sqrt(c). So a vector z of the tangent space
at the origin goes to exp0(sqrt(c) z) in the space of curvature -1, and its distances are divided by sqrt(c).
"""

import math

import torch
from torch import nn

from reidflow.models.geometries._geometry import Geometry
from reidflow.models.geometries._geoopt import ball, hyperboloid
from reidflow.spec.errors import ReidflowError


class Hyperbolic(Geometry):
    """Scales vectors, clips them to a radius (Guo et al. 2022) and maps them onto a manifold by the exponential map at the origin.

    A learned curvature is exp(`log_curvature`) below zero, so it stays negative.
    """

    def __init__(self, curvature: float, learned: bool, clip: float | None, scale: float) -> None:
        super().__init__()
        if not curvature < 0:
            raise ReidflowError(
                f"the curvature of a hyperbolic geometry must be below 0, not {curvature:g}. Write e.g. -1."
            )
        if clip is not None and not clip > 0:
            raise ReidflowError(f"the clip radius of a geometry must be above 0, not {clip:g}. Write e.g. 2, or null.")
        if not scale > 0:
            raise ReidflowError(f"the scale of a geometry must be above 0, not {scale:g}. Write e.g. 0.1.")
        self.clip, self.scale = clip, scale
        log_curvature = torch.tensor(math.log(-curvature))
        self.log_curvature = nn.Parameter(log_curvature) if learned else None
        self.fixed = -curvature

    def root(self) -> torch.Tensor | float:
        """Return sqrt(c)."""
        return math.sqrt(self.fixed) if self.log_curvature is None else (self.log_curvature / 2).exp()

    def curvature(self) -> float:
        """Return -c."""
        return -self.fixed if self.log_curvature is None else -math.exp(self.log_curvature.item())

    def into(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return the coordinates (B, D) of tangent vectors (B, D) at the origin."""
        vectors = vectors * self.scale
        norms = vectors.norm(dim=1, keepdim=True)
        if self.clip is not None:
            self.note_clipped(norms.squeeze(1) >= self.clip)
            vectors = vectors * (self.clip / norms.clamp_min(self.clip))
        return self.exponential(vectors * self.root())

    def exponential(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return the coordinates of the exponential map at the origin, curvature -1."""
        raise NotImplementedError

    def distances(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """Return the geodesic distances, computed in float64: those of near points are lost in float32."""
        return (self.unscaled(one.double(), other.double()) / self.root()).to(one.dtype)

    def unscaled(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """Return the distances for curvature -1."""
        raise NotImplementedError


class Ball(Hyperbolic):
    """Coordinates in the unit ball; geoopt keeps them within 0.996 of its radius in float32."""

    def exponential(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return tanh(|v|) v / |v|, projected into the ball."""
        minus_one = vectors.new_tensor(-1.0)
        points = ball.expmap0(vectors, k=minus_one)
        inside = ball.project(points, k=minus_one)
        if self.clip is None:
            self.note_clipped((inside != points).any(dim=1))
        return inside

    def unscaled(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """Return 2 artanh |-x (+) y| as geoopt does.

        The norm of the Moebius sum is |x - y| / sqrt(|x - y|^2 + (1 - |x|^2)(1 - |y|^2)); a sum for each pair of points
        takes several times longer, and its rounding gives equal points a gradient.
        """
        apart = torch.cdist(one, other, compute_mode="donot_use_mm_for_euclid_dist")
        gaps = _gap(one).unsqueeze(-1) * _gap(other).unsqueeze(-2)
        return 2 * ball.artanh(apart * (apart.square() + gaps).rsqrt())


class Hyperboloid(Hyperbolic):
    """Space-like coordinates on the hyperboloid; the time-like one is sqrt(1 + |x|^2)."""

    def exponential(self, vectors: torch.Tensor) -> torch.Tensor:
        """Return sinh(|v|) v / |v|."""
        timed = nn.functional.pad(vectors, (1, 0))
        return hyperboloid.expmap0(timed, k=vectors.new_tensor(1.0))[:, 1:]

    def unscaled(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """Return arcosh of minus the Lorentzian inner products."""
        times = _time(one).unsqueeze(-1) * _time(other).unsqueeze(-2)
        return hyperboloid.arcosh(times - one @ other.transpose(-1, -2))


def _gap(points: torch.Tensor) -> torch.Tensor:
    return 1 - points.square().sum(dim=-1)


def _time(points: torch.Tensor) -> torch.Tensor:
    return (1 + points.square().sum(dim=-1)).sqrt()
