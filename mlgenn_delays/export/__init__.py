"""Trained networks that run elsewhere: bundle, GeNN, C and NIR."""
