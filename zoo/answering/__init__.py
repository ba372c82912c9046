"""Answering: windows of a question with a context, and the span that answers it.

Imports tagging, tokenizers and NumPy only, so that it runs on a device.
"""
