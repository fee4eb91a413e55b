locals {
  accounts = merge(
    {
      runner    = "Runs the monitors: reads prediction logs, writes results."
      builder   = "Builds the function's image."
      scheduler = "Calls the function, and may do nothing else."
    },
    var.dashboard == null ? {} : { dashboard = "Shows results." },
  )
}

resource "google_service_account" "this" {
  for_each = local.accounts

  project      = var.project
  account_id   = "${var.name}-${each.key}"
  display_name = "${var.name} ${each.key}"
  description  = each.value

  depends_on = [google_project_service.this]
}
