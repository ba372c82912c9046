"""The MediaPipe target: files for its tasks of texts, of images and of sounds.

Imports what targets imports, and its writers' base class.
"""
