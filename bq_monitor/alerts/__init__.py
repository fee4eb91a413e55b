"""From verdicts to events that people should hear of."""
