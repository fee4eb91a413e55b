"""A training pipeline for Vertex AI or Kubeflow: train, capture the reference of the new version, judge what is due.

`python pipeline.py pipeline.yaml` compiles it. On Vertex AI, files of a bucket are `/gcs/BUCKET/...`; `config` may be `gs://`, too.
"""

import sys

from kfp import compiler, dsl

BASE_IMAGE = "python:3.11-slim"
BQ_MONITOR = "bq-monitor[report]==0.1.0"
TRAINING = ["scikit-learn==1.9.1", "pandas==3.1.1", "pyarrow==25.0.1"]

FEATURES = ["loan_amount", "guarantee_share", "no_emp", "create_job", "retained_job"]


@dsl.component(base_image=BASE_IMAGE, packages_to_install=TRAINING)
def train(
    training: str, features: list, label: str, model: dsl.Output[dsl.Model], scored: dsl.Output[dsl.Dataset]
) -> None:
    """Fit a model, and score its training data by models that did not see them."""
    import pickle

    import pandas as pd
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    frame = pd.read_parquet(training)
    inputs = frame[features].astype(float)
    estimator = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression())
    scores = cross_val_predict(estimator, inputs, frame[label], cv=3, method="predict_proba")[:, 1]
    with open(model.path, "wb") as file:  # noqa: PTH123
        pickle.dump(estimator.fit(inputs, frame[label]), file)
    frame.assign(approved=scores >= 0.5, probability=scores).to_parquet(scored.path)


@dsl.component(base_image=BASE_IMAGE, packages_to_install=[BQ_MONITOR, *TRAINING])
def capture(scored: dsl.Input[dsl.Dataset], config: str, version: str) -> str:
    """Store the histograms of the training data; the id of the reference."""
    import pandas as pd

    from bq_monitor import capture_reference, load_config

    return capture_reference(pd.read_parquet(scored.path), load_config(config), version=version).reference_id


@dsl.component(base_image=BASE_IMAGE, packages_to_install=[BQ_MONITOR])
def monitor(config: str, as_of: str, fail_on: str = "never") -> dict:
    """Judge every window that is due of a monitor or a fleet."""
    from bq_monitor.integrations.task import run_task

    return run_task(config, as_of=as_of, fail_on=fail_on)


@dsl.pipeline(name="loan-approval")
def loan_approval(training: str, config: str, version: str, as_of: str = "") -> dict:
    """Train, capture, run. No task is answered from the cache: the same arguments mean other data tomorrow."""
    trained = train(training=training, features=FEATURES, label="repaid").set_caching_options(False)
    captured = capture(scored=trained.outputs["scored"], config=config, version=version).set_caching_options(False)
    return monitor(config=config, as_of=as_of).after(captured).set_caching_options(False).output


if __name__ == "__main__":
    compiler.Compiler().compile(loan_approval, sys.argv[1])
