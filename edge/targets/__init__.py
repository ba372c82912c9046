"""Deployment targets: the signatures a host expects and the ops and precisions it supports.

Imports convert, publish and all below them.
"""
