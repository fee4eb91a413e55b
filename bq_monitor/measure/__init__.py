"""Pure numbers: histograms, divergences, significance, verdicts. Nothing here reads or writes anything."""
