"""What the engines share: context, parameters, optimiser, rewiring, readouts."""
