"""Ways in which kinds of rows, or models, become one: choices that the command line shows."""

# Kinds of rows in one model, see `models.several_config`.
LATE, JOINT, CROSS = "late", "joint", "cross"
FUSIONS = (LATE, JOINT, CROSS)
# Models in one answer, see `fusion.fuse`.
WAYS = ("mean", "fitted", "vote", "soup")
