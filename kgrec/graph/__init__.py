"""From store or tables to index arrays and tensors."""
