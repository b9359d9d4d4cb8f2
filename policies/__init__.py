"""Learning: data sets, algorithms, training, checkpoints (torch lives here)."""
