"""Models: tensors to tensors; they know nothing of losses, corpora or training."""
