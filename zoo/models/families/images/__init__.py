"""Families of models that read images."""
