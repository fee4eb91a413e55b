# What the fleet's YAMLs say that terraform must know: names, tables, secrets. Merged with defaults.yaml as bq_monitor/config_files.py does.
locals {
  yamls         = fileset(var.fleet, "*.{yaml,yml}")
  defaults_name = try(sort([for name in local.yamls : name if contains(["defaults.yaml", "defaults.yml"], name)])[0], "defaults.yaml")
  defaults_text = fileexists("${var.fleet}/${local.defaults_name}") ? file("${var.fleet}/${local.defaults_name}") : ""
  defaults      = try(yamldecode(local.defaults_text), null)
  texts         = { for name in local.yamls : name => file("${var.fleet}/${name}") if !contains(["defaults.yaml", "defaults.yml"], name) }
  documents     = { for name, text in local.texts : name => try(yamldecode(text), null) }

  # A section that a file has but is no mapping (null, a text) takes the place of the default's, keys and all.
  fleet = {
    for name, document in local.documents : name => {
      monitor   = try(tostring(document.monitor), null)
      warehouse = try(tostring(document.warehouse), tostring(local.defaults.warehouse), null)
      source    = try(tostring(document.source.table), can(document.source) && !can(keys(document.source)) ? null : tostring(local.defaults.source.table), null)
      labels    = try(tostring(document.labels.table), can(document.labels) && !can(keys(document.labels)) ? null : tostring(local.defaults.labels.table), null)
      channels  = try(flatten([document.alerts.channels]), flatten([local.defaults.alerts.channels]), [])
      is_capped = anytrue([for said in [document, local.defaults] : can(said.budget.max_bytes_per_run) || can(said.budget.max_bytes_per_month)])
      says      = jsonencode([document, local.defaults])
    }
  }
  monitors = toset([for monitor in local.fleet : monitor.monitor if can(regex("^[a-z0-9_]+$", monitor.monitor))])

  # A table as identifiers.py reads it: [project.]dataset.table, without quotes; BigQuery's own metadata are none.
  table = join("", [
    "^(?:(?P<project>(?:[a-z0-9][a-z0-9.-]*:)?[a-z][a-z0-9-]{4,28}[a-z0-9])\\.)?(?P<dataset>[A-Za-z_][A-Za-z0-9_]*)",
    "\\.(?P<table>[\\p{L}\\p{N}_][\\p{L}\\p{N}_-]*)$",
  ])
  named = flatten([
    for name, monitor in local.fleet : [
      for key in ["source", "labels"] : { name = name, key = key, text = monitor[key], parts = try(regex(local.table, monitor[key]), null) }
      if monitor[key] != null || key == "source"
    ]
  ])
  read_tables = {
    for found in local.named :
    "${coalesce(found.parts.project, var.project)}.${found.parts.dataset}.${found.parts.table}" => {
      project = coalesce(found.parts.project, var.project), dataset = found.parts.dataset, table = found.parts.table
    }... if found.parts != null
  }

  # References of `alerts` and `actions`: secret:projects/P/secrets/ID, projects/P/topics/T, env:NAME.
  managed      = toset(flatten([for monitor in local.fleet : [for found in regexall("\"secret:projects/([\\w-]+)/secrets/([\\w-]+)", monitor.says) : "${found[0]}/${found[1]}"]]))
  topics_named = toset(flatten([for monitor in local.fleet : regexall("projects/[^/\"]+/topics/[^/\"]+", monitor.says)]))
  in_environment = {
    for name, monitor in local.fleet : name => toset([for found in regexall("\"env:([A-Za-z_][A-Za-z0-9_]*)\"", monitor.says) : found[0]])
  }
}
