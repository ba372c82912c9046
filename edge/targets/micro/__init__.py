"""The target `micro`: files for TensorFlow Lite Micro, and the C sources of a bundle.

Imports what other targets do, and TensorFlow Lite Micro's interpreter in a process of its own.
"""
