"""`python -m model_server.train`: train v12 and v13 and set the held-out images aside for the traffic.

v13 has a fault that happens in real pipelines, training-serving skew: scaling the features became a step of the
training pipeline of its own, and only the step after it, the regression, was exported. The server therefore hands
raw pixels to a model that was trained on scaled ones. The pipeline's own evaluation scales before it measures,
sees nothing wrong, and v13 is released.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from model_server.classifier import Classifier
from model_server.dataset import Labelled, split

HELD_OUT = "held-out.npz"
MODELS = "models"


def fit(training: Labelled) -> Pipeline:
    """Scaler and logistic regression, fitted; the same data gives the same parameters."""
    pipeline = Pipeline([("scale", StandardScaler()), ("classify", LogisticRegression(max_iter=2000))])
    return pipeline.fit(training.features, training.labels)


def export_pipeline(pipeline: Pipeline) -> Classifier:
    """The whole pipeline, with the scaling folded into the weights: it takes raw pixels, as clients send them."""
    scaler, regression = pipeline["scale"], pipeline["classify"]
    weights = regression.coef_ / scaler.scale_
    bias = regression.intercept_ - weights @ scaler.mean_
    return Classifier(weights.T, bias, regression.classes_)


def export_last_step(pipeline: Pipeline) -> Classifier:
    """The regression alone, which expects scaled pixels; the mistake of v13."""
    regression = pipeline["classify"]
    return Classifier(regression.coef_.T, regression.intercept_, regression.classes_)


EXPORTS: dict[str, Callable[[Pipeline], Classifier]] = {"v12": export_pipeline, "v13": export_last_step}
"""How the release of each version turned the fitted pipeline into a model file."""


def train_all(output: Path) -> dict[str, float]:
    """Write `models/<version>.npz` and `held-out.npz` below `output`.

    Answers each version's accuracy (0 to 1) on the held-out images as its training pipeline measures it.
    """
    training, held_out = split()
    models = output / MODELS
    models.mkdir(parents=True, exist_ok=True)
    held_out.save(output / HELD_OUT)
    offline = {}
    for version, export in EXPORTS.items():
        pipeline = fit(training)
        export(pipeline).save(models / f"{version}.npz")
        offline[version] = float(pipeline.score(held_out.features, held_out.labels))
    return offline


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="model_server.train", description=__doc__.partition("\n")[0])
    parser.add_argument("--output", type=Path, default=Path("artifacts"), help="folder to write to")
    output = parser.parse_args().output
    for version, offline in train_all(output).items():
        print(
            f"{output / MODELS / version}.npz: offline accuracy {offline:.3f}, measured by its training pipeline"
        )


if __name__ == "__main__":
    main()
