"""The crash matrix: small histories, killed or disturbed at every step, must end as the undisturbed ones do."""
