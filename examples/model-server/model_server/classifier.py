"""A trained classifier and its file.

The file is an npz archive of plain arrays, read with pickle forbidden: loading a model file never runs code.
It holds no version: a version is the name under which a file is served.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FEATURES = 64
"""Pixels of one 8 x 8 image, row by row, grey values 0 to 16: the order in which clients send them."""


class ModelFileError(Exception):
    """The file of a version is missing, or is not a model file; the message says which and what to do."""


@dataclass(frozen=True)
class Classifier:
    """Linear classifier: the class with the highest score `features @ weights + bias`.

    weights: [FEATURES, classes], bias: [classes], classes: [classes] integer labels.
    """

    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    classes: NDArray[np.int64]

    def predict(self, features: NDArray[np.float64]) -> NDArray[np.int64]:
        """The label of each row of `features` ([n, FEATURES]), as [n] integers."""
        scores = features @ self.weights + self.bias
        return self.classes[np.argmax(scores, axis=1)]

    def save(self, path: Path) -> None:
        """Write the model file; a reader sees the whole file or none."""
        content = io.BytesIO()
        np.savez(content, weights=self.weights, bias=self.bias, classes=self.classes)
        partial = path.with_suffix(".partial")
        partial.write_bytes(content.getvalue())
        partial.replace(path)


@dataclass(frozen=True)
class ModelFile:
    """A classifier as read from disk; `digest` is the SHA-256 of the file's bytes, in hex."""

    classifier: Classifier
    digest: str


def load(models: Path, version: str) -> ModelFile:
    """Read `<models>/<version>.npz`.

    Raises ModelFileError when there is no such file or its arrays do not fit together.
    """
    path = models / f"{version}.npz"
    if path.parent != models:
        raise ModelFileError(f"{version!r} is not a version name: it leads out of the models folder")
    try:
        content = path.read_bytes()
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            classifier = Classifier(arrays["weights"], arrays["bias"], arrays["classes"])
    except FileNotFoundError as error:
        raise ModelFileError(
            f"no model file {path}: train it with `python -m model_server.train`, or deploy a version that exists"
        ) from error
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ModelFileError(f"{path} is not a model file ({error}); train it again") from error
    shapes = (classifier.weights.shape, classifier.bias.shape)
    if shapes != ((FEATURES, len(classifier.classes)), (len(classifier.classes),)):
        raise ModelFileError(f"{path} does not fit {FEATURES} features: {shapes}; train it again")
    return ModelFile(classifier, hashlib.sha256(content).hexdigest())
