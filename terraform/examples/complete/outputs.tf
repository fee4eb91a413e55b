output "dataset" {
  description = "Where results are."
  value       = module.bq_monitor.dataset
}

output "topics" {
  description = "What machines subscribe to."
  value       = module.bq_monitor.topics
}

output "secrets" {
  description = "How YAMLs refer to secrets."
  value       = module.bq_monitor.secrets
}

output "dashboard_uri" {
  description = "Where the page is, for the load balancer's backend."
  value       = module.bq_monitor.dashboard_uri
}
