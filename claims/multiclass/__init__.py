"""Implicit Bias of SignGD and Adam on Multiclass Separable Data."""
