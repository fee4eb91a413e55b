"""Two data sets without any set-up: what moved between them, and how good the answers were."""
