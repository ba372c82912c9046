"""Augmentation: training rows that are changed at random in every epoch."""
