"""The training loop, its samplers and its checkpoints."""
