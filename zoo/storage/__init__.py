"""Storage: files and folders written whole or not at all, locks, manifests, temporary folders.

Imports nothing of the zoo but its errors.
"""
