"""What to want: strategies, the model bundle, and the pure part of research."""
