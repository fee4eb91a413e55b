locals {
  top_keys          = { for name, text in local.texts : name => flatten(regexall("(?m)^([a-z_]+)\\s*:", text)) } # yamldecode takes the last of two
  known_environment = concat(keys(var.function.environment), keys(local.secret_environment), local.reserved)

  fleet_faults = concat(
    [
      for name, document in local.documents :
      "${name}: not a YAML mapping; allowed: keys such as 'monitor: loan'" if !can(keys(document))
    ],
    [
      for name, keys in local.top_keys :
      "${name}: ${join(", ", [for key in distinct(keys) : key if length([for other in keys : other if other == key]) > 1])} stands twice; allowed: each key once"
      if length(distinct(keys)) < length(keys)
    ],
    local.defaults_text != "" && !can(yamldecode(local.defaults_text)) ? ["${local.defaults_name}: not YAML"] : [],
    local.report_default != "" && !can(yamldecode(local.defaults_written)) ? [
      "${local.defaults_name}: 'report' cannot be added at its end; write it in blocks, or set reports.for_all = false",
    ] : [],
    [
      for name, monitor in local.fleet :
      "${name}: monitor: got ${jsonencode(monitor.monitor)}; allowed: a name of lower-case letters, digits and '_'"
      if !can(regex("^[a-z0-9_]+$", monitor.monitor))
    ],
    [
      for monitor in local.monitors :
      "monitor: '${monitor}' stands in ${join(" and ", [for name, found in local.fleet : name if found.monitor == monitor])}; give each its own name"
      if length([for found in local.fleet : found if found.monitor == monitor]) > 1
    ],
    [
      for found in local.named :
      "${found.name}: ${found.key}.table: got ${jsonencode(found.text)}; allowed: project.dataset.table or dataset.table, without quotes"
      if found.parts == null || can(regex("(?i)\\.(INFORMATION_SCHEMA\\.\\w+|__\\w+__)$", ".${coalesce(found.text, "-")}"))
    ],
    [
      for name, monitor in local.fleet :
      "${name}: warehouse: got '${monitor.warehouse}'; allowed: bigquery://${var.project}/${var.dataset.id}, or nothing: the function knows"
      if monitor.warehouse != null && !startswith("${coalesce(monitor.warehouse, "-")}?", "bigquery://${var.project}/${var.dataset.id}?")
    ],
    [
      for name, variables in local.in_environment :
      "${name}: env:${join(", env:", setsubtract(variables, local.known_environment))}: the function has no such variable; name it in 'secrets' (with in_environment = true once it has a value) or function.environment"
      if length(setsubtract(variables, local.known_environment)) > 0
    ],
    [
      for monitor in keys(var.schedule.crons) :
      "schedule.crons: got '${monitor}'; allowed: a monitor of the fleet (${join(", ", local.monitors)})" if !contains(local.monitors, monitor)
    ],
  )
  strange_topics = setsubtract(local.topics_named, [for name, _ in local.topics : "projects/${var.project}/topics/${var.name}-${name}"])
  uncapped       = [for name, monitor in local.fleet : name if !monitor.is_capped]
  crowded        = [for cron in distinct([for job in local.runs : job.cron]) : cron if length([for job in local.runs : job if job.cron == cron]) > var.function.max_instances]
  unheard        = [for name, monitor in local.fleet : name if !contains([for channel in monitor.channels : try(channel.type, channel)], "log")]
}

# Refuses a fleet that the runner would refuse, or could not read: all faults at once.
resource "terraform_data" "fleet" {
  input = sort(local.monitors)

  lifecycle {
    precondition {
      condition     = length(local.fleet_faults) == 0
      error_message = "The fleet in ${var.fleet}:\n${join("\n", local.fleet_faults)}"
    }
  }
}

check "health_is_logged" {
  assert {
    condition     = !var.alert_policies.enabled || length(local.unheard) == 0
    error_message = "alerts.channels of ${join(", ", local.unheard)} has no 'log': the policy on messages and actions that were given up reads its lines. Add it, best in defaults.yaml."
  }
}

check "reading_has_a_cap" {
  assert {
    condition     = length(local.uncapped) == 0
    error_message = "${join(", ", local.uncapped)}: no budget.max_bytes_per_run or max_bytes_per_month: nothing bounds what a call reads. Set one, best in defaults.yaml."
  }
}

check "calls_find_an_instance" {
  assert {
    condition     = length(local.crowded) == 0
    error_message = "At '${join("', '", local.crowded)}' more jobs call than function.max_instances = ${var.function.max_instances} can answer. Give monitors times of their own (schedule.crons), or raise it."
  }
}

check "topics_can_be_published_to" {
  assert {
    condition     = length(local.strange_topics) == 0
    error_message = "The fleet names ${join(", ", local.strange_topics)}, which the module does not make: grant roles/pubsub.publisher on it to ${var.name}-runner, or name one of the output 'topics'."
  }
}
