"""What a trained run and its graph need afterwards: new data folded in, people forgotten."""
