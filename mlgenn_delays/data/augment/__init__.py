"""Random changes of training examples, drawn anew each epoch."""
