"""The colours of every chart, light and dark: after Okabe and Ito (2008), told apart with any colour vision."""

from __future__ import annotations

from collections.abc import Mapping

PALETTE: Mapping[str, str] = {
    "surface": "#ffffff",
    "ink": "#1c2430",
    "muted": "#566173",
    "grid": "#e4e8ee",
    "reference": "#818d9c",
    "production": "#0072b2",
    "production-pale": "#b8d9ee",
    "estimated": "#008a64",
    "estimated-pale": "#b5e0d1",
    "observed": "#a8568a",
    "observed-pale": "#ecd0e2",
    "drift": "#d55e00",
    "critical": "#c2410c",
    "warning": "#a87000",
    "info": "#2f6fa8",
    "heat-0": "#edf3f8",
    "heat-1": "#c6dcee",
    "heat-2": "#8fbfe0",
    "heat-3": "#4292c6",
    "heat-4": "#08519c",
}
"""Name of a colour -> its value on a light page; no two are equal, so that a value tells its name."""

DARK: Mapping[str, str] = {
    "surface": "#15191f",
    "ink": "#e6eaf0",
    "muted": "#a3afbf",
    "grid": "#2b333e",
    "reference": "#8b98aa",
    "production": "#56b4e9",
    "production-pale": "#1f4a66",
    "estimated": "#3ccfa3",
    "estimated-pale": "#1d4f41",
    "observed": "#e29cc4",
    "observed-pale": "#573449",
    "drift": "#ff8c42",
    "critical": "#ff7a4d",
    "warning": "#e5ad3a",
    "info": "#6fb1e8",
    "heat-0": "#1d2630",
    "heat-1": "#24435c",
    "heat-2": "#2f6690",
    "heat-3": "#4a9bd4",
    "heat-4": "#a6d8ff",
}
"""The same names on a dark page."""

HEAT = tuple(PALETTE[f"heat-{step}"] for step in range(5))
"""From nothing to much."""

NAMES: Mapping[str, str] = {value: name for name, value in PALETTE.items()}
"""Value on a light page -> name of the colour."""
