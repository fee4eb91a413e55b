# The smallest installation: one model, hourly runs, everything else by default.
#
#   make archive                     # in the repository: dist/function.zip
#   terraform init && terraform apply -var project=acme-ml
#
# Then capture the training data of each model version, which says what is normal, with BQ_MONITOR_WAREHOUSE set to the output `warehouse`:
#
#   bq-monitor reference capture fleet/loan.yaml --data training.parquet --version 7

variable "project" {
  description = "Project to install into."
  type        = string
}

variable "archive" {
  description = "The function's archive, if it is not dist/function.zip of the repository."
  type        = string
  default     = null
}

module "bq_monitor" {
  source = "../.."

  project  = var.project
  location = "europe-west1"
  fleet    = "${path.module}/fleet"
  function = { archive = var.archive }
}

output "warehouse" {
  description = "For BQ_MONITOR_WAREHOUSE."
  value       = module.bq_monitor.warehouse
}

output "monitors" {
  description = "What is monitored."
  value       = module.bq_monitor.monitors
}
