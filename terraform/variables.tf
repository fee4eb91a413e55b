variable "project" {
  description = "Project that everything is made in. Its Cloud Resource Manager and Service Usage APIs must be on; the others are turned on."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{4,28}[a-z0-9]$", var.project))
    error_message = "project: got '${var.project}'; allowed: the id of a project (6 to 30 lower-case letters, digits and '-'), not its name or number."
  }
}

variable "location" {
  description = "Where dataset and buckets lie: `EU`, `US` or a region. It must be that of the prediction logs, as a query cannot read from two locations."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^(EU|US|[a-z]+-[a-z]+[0-9]+)$", var.location))
    error_message = "location: got '${var.location}'; allowed: EU, US, or a region such as europe-west1."
  }
}

variable "region" {
  description = "Region of function, schedule, images and dashboard; by default `location`, if that is a region."
  type        = string
  default     = null

  validation {
    condition     = can(regex("^[a-z]+-[a-z]+[0-9]+$", coalesce(var.region, var.location)))
    error_message = "region: got ${var.region == null ? "nothing, and location '${var.location}' is no region" : "'${var.region}'"}; allowed: a region such as europe-west1."
  }
}

variable "fleet" {
  description = "Folder with one YAML a model, and perhaps a `defaults.yaml` that is merged under each. The tables that they name are those that the runner may read."
  type        = string
  nullable    = false

  validation {
    condition     = length(setsubtract(fileset(var.fleet, "*.{yaml,yml}"), ["defaults.yaml", "defaults.yml"])) > 0
    error_message = "fleet: got '${var.fleet}', which holds no YAML of a model; allowed: a folder with one .yaml a model, such as \"$${path.module}/fleet\"."
  }
}

variable "name" {
  description = "What the name of everything that is made begins with; another one for each installation in a project."
  type        = string
  default     = "bq-monitor"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name))
    error_message = "name: got '${var.name}'; allowed: 3 to 20 lower-case letters, digits and '-', a letter first."
  }
}

variable "dataset" {
  description = "The dataset of counts and results: its id, for how long it can be read as it was (`time_travel_hours`, 48 to 168), how its storage is billed."
  type = object({
    id                = optional(string, "ml_monitoring")
    time_travel_hours = optional(number, 168)
    storage_billing   = optional(string, "LOGICAL")
  })
  default  = {}
  nullable = false

  validation {
    condition     = can(regex("^[A-Za-z_][A-Za-z0-9_]*$", var.dataset.id))
    error_message = "dataset.id: got '${var.dataset.id}'; allowed: letters, digits and '_', no digit first."
  }
  validation {
    condition     = var.dataset.time_travel_hours >= 48 && var.dataset.time_travel_hours <= 168 && var.dataset.time_travel_hours % 24 == 0
    error_message = "dataset.time_travel_hours: got ${var.dataset.time_travel_hours}; allowed: 48, 72, 96, 120, 144, 168."
  }
  validation {
    condition     = contains(["LOGICAL", "PHYSICAL"], var.dataset.storage_billing)
    error_message = "dataset.storage_billing: got '${var.dataset.storage_billing}'; allowed: LOGICAL, PHYSICAL."
  }
}

variable "extra_sources" {
  description = "What the runner must read beside the tables in the YAMLs: the tables under a view (`project.dataset.table`), or all of a dataset (`project.dataset`)."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for source in var.extra_sources : can(regex("^[a-z][a-z0-9:.-]*[a-z0-9]\\.[A-Za-z_][A-Za-z0-9_]*(\\.[^.`\\s]+)?$", source))])
    error_message = "extra_sources: got ${jsonencode(var.extra_sources)}; allowed: project.dataset.table or project.dataset, without quotes."
  }
}

variable "readers" {
  description = "Who may read results and reports: `user:`, `group:`, `serviceAccount:` or `domain:`. To query they need a project of their own to run jobs in."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for member in var.readers : can(regex("^(user|group|serviceAccount|domain|principal|principalSet):", member))])
    error_message = "readers: got ${jsonencode(var.readers)}; allowed: user:…, group:…, serviceAccount:…, domain:…, principal:…, principalSet:…; never allUsers."
  }
}

variable "labels" {
  description = "Labels of everything that takes labels, for finding costs; `app` is the installation's name unless it is given here."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "deletion_protection" {
  description = "Whether tables, secrets and dashboard refuse to be deleted. What holds data is kept in any case (`prevent_destroy`)."
  type        = bool
  default     = true
  nullable    = false
}
