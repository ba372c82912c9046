"""What is written beside a file: the model card, and C sources for a microcontroller.

Imports targets and choose.
"""
