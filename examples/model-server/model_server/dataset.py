"""The digits: 1,797 images of 8 x 8 pixels that ship inside the scikit-learn wheel.

Source: UCI "Optical Recognition of Handwritten Digits", test part, as `sklearn.datasets.load_digits`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_TRAINING_ROWS = 1200
_SPLIT_SEED = 20260105


@dataclass(frozen=True)
class Labelled:
    """Images and what they really show: features [n, FEATURES], labels [n]."""

    features: NDArray[np.float64]
    labels: NDArray[np.int64]

    def save(self, path: Path) -> None:
        """Write both arrays as an npz file."""
        np.savez(path, features=self.features, labels=self.labels)


def load_labelled(path: Path) -> Labelled:
    """Read what `Labelled.save` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        return Labelled(arrays["features"], arrays["labels"])


def split() -> tuple[Labelled, Labelled]:
    """(training, held out): the same disjoint split every time."""
    from sklearn.datasets import load_digits  # noqa: PLC0415 - only training needs scikit-learn; serving starts fast

    features, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(labels))
    training, held_out = order[:_TRAINING_ROWS], order[_TRAINING_ROWS:]
    return Labelled(features[training], labels[training]), Labelled(features[held_out], labels[held_out])
