"""Distillation: a student that follows a teacher.

Imports quantize and training.
"""
