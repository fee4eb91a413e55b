variable "project" {
  description = "Project to install into."
  type        = string
}

variable "archive" {
  description = "The function's archive, if it is not dist/function.zip of the repository."
  type        = string
  default     = null
}

variable "kms_key" {
  description = "The key that encrypts everything; whoever keeps keys makes it."
  type        = string
}
