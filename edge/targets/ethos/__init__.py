"""The targets `ethos-u*`: files for Arm's Ethos-U NPUs, compiled by Arm's Vela, with C sources.

Imports what `micro` does, and its C sources; Vela runs in a process of its own.
"""
