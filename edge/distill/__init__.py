"""Distillation: a student that follows a teacher.

Imports compress, quantize and training.
"""
