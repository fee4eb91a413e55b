"""The pipeline on this machine, in this Python: `python run_locally.py FOLDER NAME=VALUE...`, NAME a parameter of the pipeline."""

from __future__ import annotations

import json
import sys

from kfp import local
from pipeline import loan_approval

if __name__ == "__main__":
    folder, *parameters = sys.argv[1:]
    local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=folder)
    done = loan_approval(**dict(parameter.split("=", 1) for parameter in parameters))
    sys.stdout.write(json.dumps(done.output) + "\n")
