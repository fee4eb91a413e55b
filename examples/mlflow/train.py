"""Train a loan model; in MLflow each version of it knows its reference.

`MLFLOW_TRACKING_URI=... python train.py training.parquet loan_approval.yaml`
"""

from __future__ import annotations

import sys

import mlflow
import pandas as pd
import sklearn
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bq_monitor import capture_reference, load_config
from bq_monitor.integrations.mlflow import log_reference

NAME, LABEL = "loan_approval", "repaid"
FEATURES = ["loan_amount", "guarantee_share", "no_emp", "create_job", "retained_job"]


def main(training: str, config: str) -> None:
    """One run: the model, its version in the registry, and the reference of that version."""
    frame = pd.read_parquet(training)
    inputs = frame[FEATURES].astype(float).fillna(0.0)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    scores = cross_val_predict(model, inputs, frame[LABEL], cv=3, method="predict_proba")[:, 1]
    mlflow.set_experiment(NAME)
    with mlflow.start_run():
        mlflow.log_metric("roc_auc", roc_auc_score(frame[LABEL], scores))
        model.fit(inputs, frame[LABEL])
        needs = [f"scikit-learn=={sklearn.__version__}"]
        logged = mlflow.sklearn.log_model(model, name="model", registered_model_name=NAME, pip_requirements=needs)
        version = str(logged.registered_model_version)  # serving writes it to the prediction log as model_version
        scored = frame.assign(approved=scores >= 0.5, probability=scores)
        reference = capture_reference(scored, load_config(config), version=version)
        log_reference(reference, config, registered_model=NAME)


if __name__ == "__main__":
    main(*sys.argv[1:])
