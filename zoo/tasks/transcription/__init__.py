"""Transcription: the task of models that write down speech, and its data.

Imports what the other tasks import.
"""
