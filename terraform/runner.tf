# What the runner may do in the project and in the logs. Grants on what the module makes stand beside what they are on.
locals {
  read_datasets = {
    for table in values(local.read_tables)[*][0] : "${table.project}.${table.dataset}" => { project = table.project, dataset = table.dataset }...
  }
  # project.dataset or project.dataset.table
  extra = { for source in var.extra_sources : source => regex("^(?P<project>.+?)\\.(?P<dataset>\\w+)(?:\\.(?P<table>[^.]+))?$", source) }
}

resource "google_project_iam_member" "runner" {
  project = var.project
  role    = "roles/bigquery.jobUser" # run queries; says nothing of which tables
  member  = google_service_account.this["runner"].member
}

resource "google_bigquery_table_iam_member" "logs" {
  for_each = merge({ for name, table in local.read_tables : name => table[0] }, { for source, parts in local.extra : source => parts if parts.table != null })

  project    = each.value.project
  dataset_id = each.value.dataset
  table_id   = each.value.table
  role       = "roles/bigquery.dataViewer"
  member     = google_service_account.this["runner"].member

  depends_on = [terraform_data.fleet]
}

# When partitions changed stands in INFORMATION_SCHEMA.PARTITIONS, which wants bigquery.tables.list on the dataset: names and schemas, no rows.
resource "google_bigquery_dataset_iam_member" "logs" {
  for_each = { for name, dataset in local.read_datasets : name => dataset[0] }

  project    = each.value.project
  dataset_id = each.value.dataset
  role       = "roles/bigquery.metadataViewer"
  member     = google_service_account.this["runner"].member

  depends_on = [terraform_data.fleet]
}

resource "google_bigquery_dataset_iam_member" "extra" {
  for_each = { for source, parts in local.extra : source => parts if parts.table == null }

  project    = each.value.project
  dataset_id = each.value.dataset
  role       = "roles/bigquery.dataViewer"
  member     = google_service_account.this["runner"].member
}
