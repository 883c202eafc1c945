"""Research's files and runs: training and the model bundle."""
