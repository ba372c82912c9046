"""Diagnosis: where a model is wrong, as rows and figures.

Imports choose (for figures), tasks and storage.
"""
