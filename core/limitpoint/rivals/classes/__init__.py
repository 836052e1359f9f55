"""Faults that people met in public optimizers, each as a class of torch's kind beside its twin."""
