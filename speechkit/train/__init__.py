"""One trainer for every task: steps, precision, ranks, checkpoints, logs; nothing of speech."""
