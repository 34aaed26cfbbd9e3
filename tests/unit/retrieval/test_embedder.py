import numpy as np
import pytest
from planted_folder import FRAME, SIZE, drawn_folder, finished_run, pipeline_data, spec_of

from reidflow.retrieval.embedder import Embedder, JointEmbedder, code_of, read_spec
from reidflow.retrieval.image_embedder import ImageEmbedder
from reidflow.retrieval.image_files import Framing, find_images
from reidflow.spec import yaml
from reidflow.spec.errors import ReidflowError


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    root = tmp_path_factory.mktemp("planted")
    return drawn_folder(root / "images"), pipeline_data(root / "images", root / "data")


def made_of(root, embed):
    maker = ImageEmbedder(embed, Framing(FRAME, SIZE, 10**6), "a run")
    found = find_images(root)
    parts = list(maker.known(found, list(found.digests)))
    vectors = np.concatenate([part.vectors for part in parts])
    return dict(zip((key for part in parts for key in part.keys), vectors, strict=True))


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


@pytest.mark.parametrize("trainable", ["none", "head", "all"])
def test_an_image_file_gets_the_vector_that_the_pipeline_stores_for_it(tmp_path, planted, trainable):
    root, data = planted
    stored = finished_run(tmp_path, spec_of(trainable), *data)
    found = made_of(root, Embedder(tmp_path / "out"))
    assert list(found) == data[0] == list(stored)
    for image, vector in found.items():
        assert np.allclose(vector, unit(stored[image]), atol=1e-6), image
    assert np.ptp(np.stack(list(found.values())), axis=0).max() > 0.1


def test_the_bits_of_a_vector_do_not_depend_on_the_images_beside_it(tmp_path, planted):
    _, data = planted
    finished_run(tmp_path, spec_of("all"), *data)
    embed = Embedder(tmp_path / "out")
    together = embed(data[1])
    assert np.array_equal(np.concatenate([embed(data[1][[i]]) for i in range(5)]), together[:5])
    assert embed(data[1][:0]).shape == (0, 8)


def test_runs_side_by_side_have_the_mean_of_their_cosines(tmp_path, planted):
    _, data = planted
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        finished_run(tmp_path / name, spec_of(seed=len(name) + (name == "two")), *data)
    one, two = (Embedder(tmp_path / name / "out") for name in ("one", "two"))
    both = unit(JointEmbedder([one, two])(data[1]))
    cosines = [unit(embed(data[1])) @ unit(embed(data[1])).T for embed in (one, two)]
    assert np.allclose(both @ both.T, np.mean(cosines, axis=0), atol=1e-6)
    assert not np.allclose(*cosines, atol=1e-2)
    assert len({one.identity(), two.identity(), JointEmbedder([one, two]).identity()}) == 3


def test_the_identity_of_a_run_is_its_network_and_weights(tmp_path, planted):
    _, data = planted
    for name, changes in (("a", {}), ("b", {}), ("c", {"epochs": 2}), ("d", {"seed": 1})):
        (tmp_path / name).mkdir()
        finished_run(tmp_path / name, spec_of(**changes), *data)
    identities = [Embedder(tmp_path / name / "out").identity() for name in "abcd"]
    assert identities[0] == identities[1] and len(set(identities)) == 3


def test_the_code_that_decides_vectors_is_known_by_frame_and_network():
    spec = spec_of()
    assert code_of([spec], FRAME) == code_of([spec, spec], FRAME) != code_of([spec], {"name": "pad"})


def test_a_folder_that_is_no_finished_run_says_so(tmp_path):
    with pytest.raises(ReidflowError, match="experiment/arm/seed-0"):
        read_spec(tmp_path)
    spec = spec_of().plain()
    (tmp_path / "run.yaml").write_text(yaml.dumps({**spec, "loss": "none such"}))
    with pytest.raises(ReidflowError, match="none such"):
        read_spec(tmp_path)
    (tmp_path / "run.yaml").write_text(yaml.dumps({**spec, "ensemble": {"seeds": 2}}))
    with pytest.raises(ReidflowError, match="ensemble"):
        read_spec(tmp_path)
