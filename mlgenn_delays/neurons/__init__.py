"""Neuron models: each is its equations, from which every engine and export makes its code."""
