"""v12 is good, v13 is really worse, and nothing but its predictions says so."""

from pathlib import Path

import numpy as np
import pytest
from model_server.classifier import Classifier, ModelFileError, load
from model_server.dataset import Labelled, split


def accuracy(models: Path, version: str, data: Labelled) -> float:
    predictions = load(models, version).classifier.predict(data.features)
    return float(np.mean(predictions == data.labels))


def test_v12_is_right_on_images_that_it_never_saw(models, held_out):
    assert accuracy(models, "v12", held_out) > 0.93


def test_v13_is_well_below_the_policys_threshold_but_better_than_guessing(models, held_out):
    assert 0.5 < accuracy(models, "v13", held_out) < 0.85


def test_the_training_pipeline_of_v13_measures_itself_and_sees_nothing_wrong(train, tmp_path):
    offline = train.train_all(tmp_path)

    assert set(offline) == {"v12", "v13"}
    assert offline["v13"] == offline["v12"] > 0.93


def test_training_again_gives_the_same_parameters(train, models, tmp_path):
    train.train_all(tmp_path)

    for version in ("v12", "v13"):
        first = load(models, version).classifier
        second = load(tmp_path / train.MODELS, version).classifier
        np.testing.assert_array_equal(first.weights, second.weights)
        np.testing.assert_array_equal(first.bias, second.bias)


def test_no_held_out_image_is_trained_on(held_out):
    training, again = split()

    np.testing.assert_array_equal(again.features, held_out.features)
    assert len(training.labels) + len(held_out.labels) == 1797
    images = {row.tobytes() for row in training.features}
    assert not [row for row in held_out.features if row.tobytes() in images]


def test_a_model_file_holds_arrays_and_no_version(models):
    with np.load(models / "v13.npz", allow_pickle=False) as arrays:
        assert set(arrays) == {"weights", "bias", "classes"}
        assert arrays["weights"].shape == (64, 10)


def _misfit(path: Path) -> None:
    Classifier(np.zeros((3, 10)), np.zeros(10), np.arange(10)).save(path)


def _pickled(path: Path) -> None:
    np.savez(path, weights=np.array([{"a": 1}], dtype=object), bias=np.zeros(1), classes=np.zeros(1))


@pytest.mark.parametrize(
    ("write", "says"),
    [
        pytest.param(lambda path: None, "no model file", id="missing"),
        pytest.param(lambda path: path.write_bytes(b""), "is not a model file", id="empty"),
        pytest.param(lambda path: path.write_text("hello"), "is not a model file", id="text"),
        pytest.param(lambda path: path.write_bytes(b"PK\x03\x04broken"), "is not a model file", id="torn"),
        pytest.param(
            lambda path: np.savez(path, weights=np.zeros(3)), "is not a model file", id="arrays-missing"
        ),
        pytest.param(_pickled, "is not a model file", id="pickled-objects-are-refused"),
        pytest.param(_misfit, "does not fit 64 features", id="other-shape"),
    ],
)
def test_a_file_that_is_no_model_is_refused_with_its_path_and_what_to_do(tmp_path, write, says):
    write(tmp_path / "v14.npz")

    with pytest.raises(ModelFileError, match=says) as refused:
        load(tmp_path, "v14")

    assert str(tmp_path / "v14.npz") in str(refused.value)
    assert "train" in str(refused.value)


def test_a_version_name_cannot_lead_out_of_the_models_folder(models):
    with pytest.raises(ModelFileError, match="leads out"):
        load(models / "below", "../v12")
