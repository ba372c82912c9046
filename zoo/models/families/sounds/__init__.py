"""Families of models that read sounds."""
