"""The divergence of a student's outputs from its teacher's."""


def softened_divergence(expected, outputs, temperature: float):
    """KL divergence from the teacher's softened probabilities, times temperature squared.

    The factor preserves the size of gradients (Hinton et al. 2015, arXiv:1503.02531, section 2.1).

    Args:
        expected: logits of the teacher, (..., classes).
        outputs: logits of the student, (..., classes).
        temperature: divisor of both.

    Returns:
        The divergence (...) in nats.
    """
    from keras import ops

    expected = ops.log_softmax(expected / temperature)
    found = ops.log_softmax(outputs / temperature)
    return ops.sum(ops.exp(expected) * (expected - found), axis=-1) * temperature**2
