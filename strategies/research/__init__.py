"""The pure part of research: labels, splits, metrics."""
