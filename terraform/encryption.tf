# With a key of one's own: each service that stores something encrypts with it through its agent, which must be allowed to.
data "google_bigquery_default_service_account" "this" {
  count   = var.kms_key == null ? 0 : 1
  project = var.project
}

data "google_storage_project_service_account" "this" {
  count   = var.kms_key == null ? 0 : 1
  project = var.project
}

locals {
  agent_of = "service-${data.google_project.this.number}@"
  agents = var.kms_key == null ? {} : {
    bigquery         = data.google_bigquery_default_service_account.this[0].email
    storage          = data.google_storage_project_service_account.this[0].email_address
    artifactregistry = "${local.agent_of}gcp-sa-artifactregistry.iam.gserviceaccount.com"
    functions        = "${local.agent_of}gcf-admin-robot.iam.gserviceaccount.com"
    pubsub           = "${local.agent_of}gcp-sa-pubsub.iam.gserviceaccount.com"
    run              = "${local.agent_of}serverless-robot-prod.iam.gserviceaccount.com"
    secretmanager    = "${local.agent_of}gcp-sa-secretmanager.iam.gserviceaccount.com"
  }
}

resource "google_kms_crypto_key_iam_member" "agent" {
  for_each = local.agents

  crypto_key_id = var.kms_key
  role          = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
  member        = "serviceAccount:${each.value}"

  depends_on = [google_project_service.this]
}

# Grants take a while to be known everywhere; what is made first would be refused.
resource "terraform_data" "key_known" {
  count            = var.kms_key == null ? 0 : 1
  triggers_replace = [var.kms_key]

  provisioner "local-exec" {
    command = "sleep 60"
  }

  depends_on = [google_kms_crypto_key_iam_member.agent]
}
