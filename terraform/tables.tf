# Tables and views as bq_monitor/warehouse describes them: terraform/generate.py writes the two files, a test holds them equal.
locals {
  tables = jsondecode(file("${path.module}/schema/tables.json"))
  views = {
    for view in jsondecode(file("${path.module}/schema/views.json")) : view.name => merge(view, {
      sql = replace(replace(view.query, "$${project}", var.project), "$${dataset}", var.dataset.id)
    })
  }
}

resource "google_bigquery_table" "tables" {
  for_each = local.tables

  project             = var.project
  dataset_id          = google_bigquery_dataset.results.dataset_id
  table_id            = each.key
  description         = each.value.description
  schema              = jsonencode(each.value.schema)
  clustering          = each.value.cluster
  deletion_protection = var.deletion_protection
  labels              = local.labels

  time_partitioning {
    type  = "DAY"
    field = each.value.partition
  }

  dynamic "encryption_configuration" {
    for_each = var.kms_key == null ? [] : [var.kms_key]
    content {
      kms_key_name = encryption_configuration.value
    }
  }

  lifecycle {
    prevent_destroy = true
  }
}

# A view that changes is made anew: it holds nothing, and its columns cannot be updated together with its query.
resource "terraform_data" "view" {
  for_each = local.views

  input = sha256(jsonencode([each.value.sql, each.value.columns]))
}

# A view must be there before one that reads it: one resource a level.
resource "google_bigquery_table" "views" {
  #checkov:skip=CKV_GCP_80:a view stores nothing that could be encrypted
  #checkov:skip=CKV_GCP_121:a view holds no data, and is made anew when its query changes
  for_each = { for name, view in local.views : name => view if view.level == 0 }

  project             = var.project
  dataset_id          = google_bigquery_dataset.results.dataset_id
  table_id            = each.key
  description         = each.value.description
  schema              = jsonencode(each.value.columns)
  deletion_protection = false # it holds no data
  labels              = local.labels

  view {
    query          = each.value.sql
    use_legacy_sql = false
  }

  lifecycle {
    replace_triggered_by = [terraform_data.view[each.key]]
  }

  depends_on = [google_bigquery_table.tables]
}

resource "google_bigquery_table" "views_of_views" {
  #checkov:skip=CKV_GCP_80:a view stores nothing that could be encrypted
  #checkov:skip=CKV_GCP_121:a view holds no data, and is made anew when its query changes
  for_each = { for name, view in local.views : name => view if view.level > 0 }

  project             = var.project
  dataset_id          = google_bigquery_dataset.results.dataset_id
  table_id            = each.key
  description         = each.value.description
  schema              = jsonencode(each.value.columns)
  deletion_protection = false # it holds no data
  labels              = local.labels

  view {
    query          = each.value.sql
    use_legacy_sql = false
  }

  lifecycle {
    replace_triggered_by = [terraform_data.view[each.key]]

    precondition {
      condition     = each.value.level == 1
      error_message = "${each.key}: views.json has level ${each.value.level}; tables.tf makes levels 0 and 1. Add a resource."
    }
  }

  depends_on = [google_bigquery_table.views]
}
