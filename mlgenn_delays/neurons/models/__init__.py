"""The neuron models that come with the package, one per file."""
