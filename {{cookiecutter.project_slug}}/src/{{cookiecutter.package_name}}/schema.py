"""What a row is: its columns, the values that each may have, and its label."""

from typing import Final

MEASUREMENTS: Final[dict[str, float]] = {
    "radius": 1_000,  # distance from the centre to the outline, in the unit of length of the image
    "texture": 1_000,  # standard deviation of the grey values
    "perimeter": 10_000,  # in the unit of length
    "area": 100_000,  # in that unit squared
    "smoothness": 10,  # local variation of the radius; this and what follows has no unit
    "compactness": 10,  # perimeter² / area - 1
    "concavity": 10,  # severity of the concave parts of the outline
    "concave_points": 10,  # frequency of the concave parts of the outline
    "symmetry": 10,
    "fractal_dimension": 10,  # "coastline approximation" - 1
}
"""What is measured on each cell nucleus of a case, with the largest value that is no slip of the pen."""

LIMITS: Final[dict[str, float]] = {
    **{f"mean_{name}": limit for name, limit in MEASUREMENTS.items()},
    **{f"{name}_error": limit for name, limit in MEASUREMENTS.items()},
    **{f"worst_{name}": limit for name, limit in MEASUREMENTS.items()},
}
"""Every feature with its largest value; the smallest is 0. The mean is over the nuclei of a case, the error is that of
the mean, the worst is the mean of the three largest."""

FEATURES: Final[tuple[str, ...]] = tuple(LIMITS)
"""The 30 features, in the order in which every array of this package holds them."""

LABEL: Final = "diagnosis"
LABELS: Final = ("benign", "malignant")
"""The two labels; the second is the one whose probability the model gives."""

THRESHOLD: Final = 0.5
"""From this probability on the model answers with the second label."""


def rule(column: str) -> str:
    """What a cell of a column may hold, in words for people."""
    return f"a number from 0 to {LIMITS[column]:,.0f}" if column in LIMITS else " or ".join(LABELS)


def allows(column: str, value: float) -> bool:
    """Whether a feature may have a value; NaN and infinity are outside of every range."""
    return 0 <= value <= LIMITS[column]
