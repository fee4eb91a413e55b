"""frouros: a Kolmogorov-Smirnov test of each number, a chi-square test of each text; NULL is left out, as both tests need it."""

from __future__ import annotations

from frouros.detectors.data_drift import ChiSquareTest, KSTest
from pair import answer, is_text, read_pair

ALPHA = 0.05  # as in its examples; it has no default

reference, current = read_pair()
found = {}
for column in reference:
    detector = ChiSquareTest() if is_text(reference[column]) else KSTest()
    detector.fit(reference[column].dropna().to_numpy())
    result, _ = detector.compare(current[column].dropna().to_numpy())
    found[column] = bool(result.p_value < ALPHA)
answer(found)
