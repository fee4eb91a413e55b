variable "function" {
  description = <<-TEXT
    The function that runs the fleet: `archive` (zip that `make archive` writes; by default `dist/function.zip` of the repository), `memory`, `cpu`,
    `timeout_seconds` (the scheduler gives up after 1800 s), `max_instances`, `runtime`, `environment`, `metrics` (answer `GET /metrics`;
    the archive must be built for it: `functions/build.py --with prometheus`), `scrapers` (who may ask for these, with a token of theirs and from
    inside the network; Cloud Run knows no smaller right, so they could start runs too).
  TEXT
  type = object({
    archive         = optional(string)
    memory          = optional(string, "1Gi")
    cpu             = optional(string, "1")
    timeout_seconds = optional(number, 1740)
    max_instances   = optional(number, 3)
    runtime         = optional(string, "python311")
    metrics         = optional(bool, false)
    scrapers        = optional(set(string), [])
    environment     = optional(map(string), {})
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.function.timeout_seconds >= 120 && var.function.timeout_seconds <= 1740
    error_message = "function.timeout_seconds: got ${var.function.timeout_seconds}; allowed: 120 to 1740, as the scheduler gives up after 1800 s."
  }
  validation {
    condition     = can(regex("^[1-9][0-9]*(Mi|Gi)$", var.function.memory))
    error_message = "function.memory: got '${var.function.memory}'; allowed: a number with Mi or Gi, such as 512Mi or 2Gi."
  }
  validation {
    condition     = var.function.max_instances >= 1 && var.function.max_instances <= 100
    error_message = "function.max_instances: got ${var.function.max_instances}; allowed: 1 to 100."
  }
  validation {
    condition     = alltrue([for member in var.function.scrapers : can(regex("^(user|group|serviceAccount|principal|principalSet):", member))])
    error_message = "function.scrapers: got ${jsonencode(var.function.scrapers)}; allowed: serviceAccount:…, group:…, user:…; never allUsers."
  }
  validation {
    condition     = var.function.metrics || length(var.function.scrapers) == 0
    error_message = "function.scrapers: got ${jsonencode(var.function.scrapers)} without metrics; set metrics = true, or take them out."
  }
  validation {
    condition     = contains(["python311", "python312", "python313"], var.function.runtime)
    error_message = "function.runtime: got '${var.function.runtime}'; allowed: python311, python312, python313."
  }
  validation {
    condition     = length(setintersection(keys(var.function.environment), local.reserved)) == 0
    error_message = "function.environment: got ${join(", ", setintersection(keys(var.function.environment), local.reserved))}, which the module sets; allowed: any other name."
  }
}

variable "schedule" {
  description = <<-TEXT
    When the fleet is run: `cron` (as often as windows end: a call that finds nothing due may still look at the log, which is billed) and `time_zone`; `per_monitor` for one job a monitor, `crons` for those of them with a time of their own;
    `check_cron`, when to ask whether runs come at all; `retries` of a call that failed.
  TEXT
  type = object({
    cron        = optional(string, "0 6 * * *")
    time_zone   = optional(string, "Etc/UTC")
    per_monitor = optional(bool, false)
    crons       = optional(map(string), {})
    check_cron  = optional(string, "30 * * * *")
    retries     = optional(number, 3)
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for cron in concat([var.schedule.cron, var.schedule.check_cron], values(var.schedule.crons)) : can(regex("^\\S+( +\\S+){4}$", cron))])
    error_message = "schedule: got ${jsonencode(concat([var.schedule.cron, var.schedule.check_cron], values(var.schedule.crons)))}; allowed: five fields each, such as '0 6 * * *'."
  }
  validation {
    condition     = var.schedule.retries >= 0 && var.schedule.retries <= 5
    error_message = "schedule.retries: got ${var.schedule.retries}; allowed: 0 to 5."
  }
  validation {
    condition     = length(var.schedule.crons) == 0 || var.schedule.per_monitor
    error_message = "schedule.crons: got ${jsonencode(var.schedule.crons)} without per_monitor; allowed: with per_monitor = true."
  }
}

variable "secrets" {
  description = <<-TEXT
    Secrets of channels, by the environment variable that stands for them (`BQ_MONITOR_SLACK_URL = {}`). Made empty, for you to add a version;
    `create = false` takes one that exists (`secret`, its id or `projects/P/secrets/ID`). Values never pass through terraform.
    `in_environment` hands it to the function, whose deployment fails while the secret is empty: by default only those that exist; the
    others are named in the YAML, as the output `secrets` says.
  TEXT
  type = map(object({
    create         = optional(bool, true)
    secret         = optional(string)
    in_environment = optional(bool)
  }))
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for name, _ in var.secrets : can(regex("^[A-Z][A-Z0-9_]*$", name)) && !contains(local.reserved, name)])
    error_message = "secrets: got ${join(", ", keys(var.secrets))}; allowed: capitals, digits and '_', except ${join(", ", local.reserved)}, which the module sets."
  }
  validation {
    condition     = alltrue([for secret in var.secrets : secret.secret == null || can(regex("^(projects/[a-z0-9-]+/secrets/)?[A-Za-z0-9_-]+$", secret.secret))])
    error_message = "secrets: got ${jsonencode([for secret in var.secrets : secret.secret])}; allowed: the id of a secret, or projects/PROJECT/secrets/ID, without a version."
  }
  validation {
    condition     = alltrue([for secret in var.secrets : secret.create ? !can(regex("/", secret.secret)) : secret.secret != null])
    error_message = "secrets: got ${jsonencode(var.secrets)}; allowed: with create = false the secret's id, and with create = true an id of this project."
  }
}

variable "kms_key" {
  description = <<-TEXT
    Key that encrypts everything (`projects/P/locations/REGION/keyRings/R/cryptoKeys/K`, which must exist). It must lie in `region`, and so must
    `location`. The service agents of Pub/Sub, Artifact Registry, Cloud Functions, Cloud Run and Secret Manager must exist: `gcloud beta services identity create` makes them.
  TEXT
  type        = string
  default     = null

  validation {
    condition     = var.kms_key == null || can(regex("^projects/[^/]+/locations/${coalesce(var.region, var.location)}/keyRings/[^/]+/cryptoKeys/[^/]+$", var.kms_key))
    error_message = "kms_key: got '${coalesce(var.kms_key, "-")}'; allowed: projects/P/locations/${coalesce(var.region, var.location)}/keyRings/RING/cryptoKeys/KEY."
  }
  validation {
    condition     = var.kms_key == null || var.location == coalesce(var.region, var.location)
    error_message = "kms_key: got location '${var.location}' and region '${coalesce(var.region, var.location)}'; allowed: the same region for both, as a key encrypts what lies beside it."
  }
}

variable "network" {
  description = "VPC that function and dashboard reach out through: `vpc_connector` (`projects/P/locations/REGION/connectors/C`), `egress`."
  type = object({
    vpc_connector = string
    egress        = optional(string, "PRIVATE_RANGES_ONLY")
  })
  default = null

  validation {
    condition     = contains(["PRIVATE_RANGES_ONLY", "ALL_TRAFFIC"], try(var.network.egress, "ALL_TRAFFIC"))
    error_message = "network.egress: got '${try(var.network.egress, "")}'; allowed: PRIVATE_RANGES_ONLY, ALL_TRAFFIC."
  }
}
