import numpy as np
import pytest
import torch
from geoopt.manifolds.lorentz import Lorentz
from geoopt.manifolds.stereographic import PoincareBall

from reidflow.evaluation.average_precision import average_precisions
from reidflow.evaluation.ranking import similarity_of
from reidflow.spec import components
from reidflow.spec.errors import ReidflowError

CURVED = ["poincare", "lorentz"]
SPACES = ["euclidean", *CURVED]


def geometry(name: str, **parameters):
    unscaled = {"scale": 1.0} if name in CURVED else {}
    return components.call("geometry", components.resolve("geometry", {"name": name, **unscaled, **parameters}))


def tangent(count: int = 12, dim: int = 5, scale: float = 0.5) -> torch.Tensor:
    return scale * torch.randn(count, dim, generator=torch.Generator().manual_seed(0))


def reference(name: str, vectors: torch.Tensor, c: float) -> torch.Tensor:
    """Distances of all pairs by geoopt's own manifolds at curvature -c, in float64."""
    vectors = vectors.double()
    if name == "poincare":
        ball = PoincareBall(c=c)
        points = ball.expmap0(vectors)
        return ball.dist(points[:, None], points[None])
    sheet = Lorentz(k=torch.tensor(1 / c, dtype=torch.float64))
    points = sheet.expmap0(torch.nn.functional.pad(vectors, (1, 0)))
    return sheet.dist(points[:, None], points[None])


@pytest.mark.parametrize("c", [0.1, 1.0, 2.5])
@pytest.mark.parametrize("name", CURVED)
def test_distances_are_those_of_geoopt_in_the_true_curvature(name, c):
    space, vectors = geometry(name, curvature=-c, clip=None), tangent()
    points = space(vectors)
    found, expected = space.distances(points, points).numpy(), reference(name, vectors, c).numpy()
    off = ~np.eye(len(found), dtype=bool)
    np.testing.assert_allclose(found[off], expected[off], rtol=2e-5)
    assert np.diag(found).max() < 1e-6


@pytest.mark.parametrize("c", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("name", CURVED)
def test_rankings_measure_the_same_distances_from_the_stored_coordinates_alone(name, c):
    space, vectors = geometry(name, curvature=-c, clip=None), tangent()
    points = space(vectors).numpy()
    found = -similarity_of(name)(points, points) / np.sqrt(c)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, reference(name, vectors, c).numpy(), rtol=2e-5, atol=1e-6)


def test_ball_and_hyperboloid_are_one_space():
    vectors = tangent()
    ball, sheet = geometry("poincare", clip=None), geometry("lorentz", clip=None)
    one, other = ball(vectors), sheet(2 * vectors)
    np.testing.assert_allclose(ball.distances(one, one), sheet.distances(other, other), rtol=1e-4, atol=1e-6)


def test_euclidean_rankings_do_not_lose_near_points_to_cancellation():
    points = 1000 + np.array([[0.0, 0.0], [3e-4, 4e-4], [0.3, 0.4]])
    distances = -similarity_of("euclidean")(points, points)
    np.testing.assert_allclose(distances[0], [0, 5e-4, 0.5], rtol=1e-9)
    assert (np.diag(distances) == 0).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", SPACES)
def test_a_point_that_is_not_finite_ranks_last_and_warns_of_nothing(name):
    gallery = np.array([[0.1, 0.2], [np.nan, 0.1], [0.3, 0.1], [np.inf, 0.0]])
    alone = np.array([0, 9, 0, 0])
    scores = average_precisions(gallery[:1], gallery, np.array([9]), alone, similarity=similarity_of(name))
    # Two candidates are finite; the positive is tied with the other one that is not.
    assert scores == pytest.approx((1 / 3 + 1 / 4) / 2)


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("vectors", [tangent(), 50 * tangent(), torch.zeros(12, 5)], ids=["usual", "far", "origin"])
def test_equal_points_give_finite_gradients(name, vectors):
    space = geometry(name)
    vectors = torch.cat([vectors, vectors]).requires_grad_()
    points = space(vectors)
    distances = space.distances(points, points)
    distances.sum().backward()
    assert torch.isfinite(distances).all()
    assert torch.isfinite(vectors.grad).all()


@pytest.mark.parametrize("name", CURVED)
def test_gradients_are_those_of_geoopt(name):
    space = geometry(name, clip=None)
    mine, theirs = tangent().requires_grad_(), tangent().requires_grad_()
    points, off = space(mine), ~torch.eye(12, dtype=bool)
    space.distances(points, points)[off].sum().backward()
    reference(name, theirs, 1.0)[off].sum().backward()
    np.testing.assert_allclose(mine.grad, theirs.grad, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("name", "reach"), [("poincare", 2), ("lorentz", 1)])
def test_clipping_bounds_the_distance_from_the_origin_and_is_counted(name, reach):
    space = geometry(name, clip=1.5, curvature=-2.0)
    vectors = torch.tensor([[0.3, 0.4], [3.0, 4.0], [0.0, -9.0], [0.9, 1.2]])
    points = space(vectors)
    found = space.distances(points, torch.zeros(1, 2)).squeeze(1)
    np.testing.assert_allclose(found, [0.5 * reach, 1.5 * reach, 1.5 * reach, 1.5 * reach], rtol=1e-4)
    assert space.take_clipped() == 0.75
    space.eval()
    space(vectors)
    assert space.take_clipped() is None


def test_an_unclipped_ball_counts_what_is_held_inside_its_edge():
    space = geometry("poincare", clip=None)
    points = space(torch.tensor([[0.5, 0.0], [20.0, 0.0]]))
    assert points.norm(dim=1).max() < 1
    assert space.take_clipped() == 0.5


@pytest.mark.parametrize("name", CURVED)
def test_a_learned_curvature_is_a_parameter_that_stays_negative(name):
    space = geometry(name, curvature=-0.5, learned=True, clip=None)
    assert [n for n, _ in space.named_parameters()] == ["log_curvature"]
    assert not list(geometry(name).parameters())
    vectors = tangent()
    points = space(vectors)
    expected = reference(name, vectors, 0.5).float()
    torch.testing.assert_close(space.distances(points, points), expected, rtol=1e-4, atol=1e-5)
    optimizer = torch.optim.SGD(space.parameters(), lr=100.0)
    space.distances(points, points).mean().backward()
    optimizer.step()
    assert space.curvature() != pytest.approx(-0.5, rel=0.01)
    assert space.curvature() < 0


@pytest.mark.parametrize("wrong", [{"curvature": 1.0}, {"curvature": 0.0}, {"clip": 0.0}])
def test_a_curvature_or_radius_of_the_wrong_sign_is_named(wrong):
    with pytest.raises(ReidflowError, match=r"curvature .*must be below 0|radius .*must be above 0"):
        geometry("poincare", **wrong)


def test_the_order_of_a_hyperbolic_ranking_is_not_that_of_the_cosine():
    query, gallery = np.array([[0.1, 0.0]]), np.array([[0.9, 0.0], [0.09, 0.03]])
    for name in CURVED:
        assert similarity_of(name)(query, gallery).argmax() == 1
    assert similarity_of("hypersphere") is None
