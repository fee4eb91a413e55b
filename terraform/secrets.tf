# Where secrets of channels are kept. Their values are added by hand and read when a message is sent: terraform never sees them.
locals {
  secrets = {
    for variable, secret in var.secrets : variable => {
      create         = secret.create
      project        = try(regex("^projects/([^/]+)/", secret.secret)[0], var.project)
      id             = secret.secret == null ? "${var.name}-${lower(replace(trimprefix(variable, "BQ_MONITOR_"), "_", "-"))}" : basename(secret.secret)
      in_environment = coalesce(secret.in_environment, !secret.create)
    }
  }
  secret_environment = { for variable, secret in local.secrets : variable => secret if secret.in_environment }
  secrets_read       = setunion(local.managed, [for secret in local.secrets : "${secret.project}/${secret.id}"])
}

resource "google_secret_manager_secret" "this" {
  for_each = { for variable, secret in local.secrets : variable => secret if secret.create }

  project             = var.project
  secret_id           = each.value.id
  deletion_protection = var.deletion_protection
  labels              = local.labels

  replication {
    user_managed {
      replicas {
        location = local.region

        dynamic "customer_managed_encryption" {
          for_each = var.kms_key == null ? [] : [var.kms_key]
          content {
            kms_key_name = customer_managed_encryption.value
          }
        }
      }
    }
  }

  depends_on = [google_project_service.this, terraform_data.key_known]
}

# Each secret by itself: those named here, and those that the fleet's YAMLs refer to as secret:projects/P/secrets/ID.
resource "google_secret_manager_secret_iam_member" "runner" {
  for_each = local.secrets_read

  project   = split("/", each.key)[0]
  secret_id = split("/", each.key)[1]
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.this["runner"].member

  depends_on = [google_secret_manager_secret.this]
}
