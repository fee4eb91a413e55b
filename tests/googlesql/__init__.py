"""The SQL of this package, held against Google's own GoogleSQL analyzer and reference evaluator."""
