connection: "@{connection}"
label: "bq-monitor"

include: "/views/*.view.lkml"
include: "/explores/*.explore.lkml"
include: "/dashboards/*.dashboard.lookml"

# A run a day or an hour changes what the views answer; within ten minutes an answer is read from Looker's cache.
persist_for: "10 minutes"
