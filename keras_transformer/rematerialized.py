"""Layers whose insides are computed again for the gradients, rather than held until then."""


def rematerialized(layer, remat, *inputs, training=None, **tensors):
    """Returns a layer's outputs, holding for its gradients the inputs alone.

    Chen et al. 2016, arXiv:1604.06174, section 3. What the layer draws at random is drawn once
    more from the same seeds, so that the gradients are those of an ordinary call.

    Args:
        layer: built layer.
        remat: function such as `keras.remat`, of a function to one that holds its inputs alone.
        *inputs, **tensors: arguments of its call; those that are None are left out.
        training: argument of its call.
    """
    # A function without state: a seed that is drawn within the computation is no value outside.
    def call(trainable, others, inputs, tensors):
        return layer.stateless_call(trainable, others, *inputs, training=training, **tensors)

    outputs, states = remat(call)(
        [variable.value for variable in layer.trainable_variables],
        [variable.value for variable in layer.non_trainable_variables],
        [one for one in inputs if one is not None],
        {name: one for name, one in tensors.items() if one is not None},
    )
    for variable, state in zip(layer.non_trainable_variables, states, strict=True):
        variable.assign(state)
    return outputs
