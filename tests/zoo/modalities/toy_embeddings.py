"""How the toy modalities become vectors and a mask."""

from keras import ops


def embed_series(parts, inputs):
    """A projection of each frame, and its place."""
    frames = parts.point("frames_point")(inputs["frames"])
    x = parts.projection(parts.config.hidden_dim, "frame_projection", frames.shape[-1])(frames)
    x = parts.point("frame_point")(x)
    x = parts.point("position_sum_point")(parts.add_positions(x))
    return parts.embedded(x), ops.not_equal(inputs["is_frame"], 0)


def embed_picture(parts, inputs):
    """A projection of each patch of 4 x 4 pixels, and its place."""
    x = ops.cast(inputs["pixels"], "float32") / 255.0
    x = ops.transpose(ops.reshape(x, (-1, 2, 4, 2, 12)), (0, 1, 3, 2, 4))
    x = parts.point("patch_point")(ops.reshape(x, (-1, 4, 48)))
    x = parts.projection(parts.config.hidden_dim, "patch_projection", 48)(x)
    x = parts.point("projected_point")(x)
    x = parts.point("position_sum_point")(parts.add_positions(x))
    return parts.embedded(x), ops.ones_like(x[:, :, 0], dtype="bool")
