"""A NumPy Transformer in float64, written for reading: what every layer is tested against.

Weights are nested dicts under the layers' own names, for example `w["query"]["kernel"]`. Shapes use
the letters of `keras_transformer`. `allowed` is boolean and broadcasts to (B, H, T, S).
"""

import math

import numpy as np

erf = np.vectorize(math.erf, otypes=[float])

ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0.0),
    "gelu": lambda x: x * 0.5 * (1.0 + erf(x / math.sqrt(2.0))),
    "gelu_tanh": lambda x: (
        x * 0.5 * (1.0 + np.tanh(math.sqrt(2.0 / math.pi) * (x + 0.044715 * x**3)))
    ),
    "silu": lambda x: x / (1.0 + np.exp(-x)),
    "hard_silu": lambda x: x * np.clip(x / 6.0 + 0.5, 0.0, 1.0),
}


def projection(w, x):
    return x @ w["kernel"] + w.get("bias", 0.0)


def windows(x, size, stride, outside):
    """(B, places, places, size, size, C) of images, with `outside` at an end as `same` pads it."""
    pads = []
    for length in x.shape[1:3]:
        missing = max((math.ceil(length / stride) - 1) * stride + size - length, 0)
        pads.append((missing // 2, missing - missing // 2))
    x = np.pad(x, ((0, 0), *pads, (0, 0)), constant_values=outside)
    found = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(1, 2))
    return np.moveaxis(found[:, ::stride, ::stride], 3, -1)


def convolution(w, x, stride=1):
    read = windows(x, len(w["kernel"]), stride, 0.0)
    return np.einsum("bhwijc,ijcd->bhwd", read, w["kernel"]) + w.get("bias", 0.0)


def max_pool(x, size=3, stride=2):
    return windows(x, size, stride, -np.inf).max(axis=(3, 4))


def softmax(x):
    """Over the last axis; minus infinity becomes zero."""
    power = np.exp(x - x.max(axis=-1, keepdims=True))
    return power / power.sum(axis=-1, keepdims=True)


def layer_norm(w, x, epsilon=1e-6):
    mean = x.mean(axis=-1, keepdims=True)
    variance = x.var(axis=-1, keepdims=True)
    return w["gamma"] * (x - mean) / np.sqrt(variance + epsilon) + w["beta"]


def rms_norm(w, x, epsilon=1e-6):
    return w["gamma"] * x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + epsilon)


NORMS = {"layer_norm": layer_norm, "rms_norm": rms_norm}


def sinusoid(length, width):
    """(length, width), Vaswani et al. 2017, section 3.5, entry by entry."""
    table = np.zeros((length, width))
    for position in range(length):
        for column in range(width):
            angle = position / 10_000 ** ((column - column % 2) / width)
            table[position, column] = math.cos(angle) if column % 2 else math.sin(angle)
    return table


def rotate(x, start=0, *, max_wavelength=10_000.0, scaling=None, fraction=1.0):
    """(T, K) rotated from position `start` on (Su et al. 2021).

    Column i is the real part and column i + R/2 the imaginary part of one complex number; R are
    the first columns, a fraction of K.
    """
    half = int(x.shape[-1] * fraction) // 2
    position = np.arange(start, start + len(x))[:, None]
    frequency = np.array([max_wavelength ** (-i / half) for i in range(half)])
    if scaling:
        frequency = np.array([llama3(one, **scaling) for one in frequency])
    turned = (x[:, :half] + 1j * x[:, half : 2 * half]) * np.exp(1j * position * frequency)
    return np.concatenate([turned.real, turned.imag, x[:, 2 * half :]], axis=-1)


def llama3(frequency, *, factor, low_freq_factor, high_freq_factor, original_length):
    """One frequency of Llama 3.1, in the three cases of the released `apply_scaling`."""
    wavelength = 2 * math.pi / frequency
    if wavelength < original_length / high_freq_factor:
        return frequency
    if wavelength > original_length / low_freq_factor:
        return frequency / factor
    smooth = original_length / wavelength - low_freq_factor
    smooth /= high_freq_factor - low_freq_factor
    return (1 - smooth) * frequency / factor + smooth * frequency


def t5_bucket(distance, *, num_buckets=32, max_distance=128, bidirectional=True):
    """Bucket of one distance, source minus target (Raffel et al. 2020, section 2.1).

    Among the far buckets the j-th begins at exact * (max_distance / exact) ** (j / far), which is
    compared here in whole numbers.
    """
    buckets, first = num_buckets, 0
    if bidirectional:
        buckets //= 2
        first = buckets if distance > 0 else 0
    elif distance > 0:
        distance = 0
    distance = abs(distance)
    exact = buckets // 2
    if distance < exact:
        return first + distance
    far = buckets - exact
    reached = (j for j in range(far) if distance**far * exact**j >= max_distance**j * exact**far)
    return first + exact + max(reached)


def distances(target_length, source_length, start=0):
    return np.arange(source_length)[None] - (np.arange(target_length)[:, None] + start)


def t5_bias(w, target_length, source_length, start=0, **kwargs):
    """(1, H, T, S)."""
    table = w["embeddings"]
    distance = distances(target_length, source_length, start)
    bias = [[table[t5_bucket(int(d), num_buckets=len(table), **kwargs)] for d in row]
            for row in distance]  # fmt: skip
    return np.array(bias).transpose(2, 0, 1)[None]


def alibi_slopes(num_heads):
    """Press et al. 2022, as their released `get_slopes` does, recursion included."""
    if math.log2(num_heads).is_integer():
        ratio = 2 ** (-(2 ** -(math.log2(num_heads) - 3)))
        return [ratio ** (i + 1) for i in range(num_heads)]
    lower = 2 ** math.floor(math.log2(num_heads))
    return alibi_slopes(lower) + alibi_slopes(2 * lower)[0::2][: num_heads - lower]


def alibi_bias(num_heads, target_length, source_length, start=0):
    """(1, H, T, S)."""
    slopes = np.array(alibi_slopes(num_heads))[:, None, None]
    return (-slopes * np.abs(distances(target_length, source_length, start)))[None]


def causal(length):
    return distances(length, length) <= 0


def over_heads(mask):
    """A mask (B, S), (B, T, S) or (B, H, T, S) in a shape that broadcasts to (B, H, T, S)."""
    return {2: mask[:, None, None], 3: mask[:, None], 4: mask}[mask.ndim] if mask.ndim > 1 else mask


def attention(
    w, query, memory=None, *, num_heads, num_key_value_heads=None, allowed=True, bias=0.0,
    rotary=False, qk_norm=None,
):  # fmt: skip
    """Returns (B, T, D) and the probabilities (B, H, T, S), one head of one row at a time."""
    memory = query if memory is None else memory
    batch, target_length, source_length = len(query), query.shape[1], memory.shape[1]
    group = num_heads // (num_key_value_heads or num_heads)
    shape = (batch, num_heads, target_length, source_length)
    allowed, bias = np.broadcast_to(allowed, shape), np.broadcast_to(bias, shape)
    q, k, v = (projection(w[name], x) for name, x in
               (("query", query), ("key", memory), ("value", memory)))  # fmt: skip
    width = q.shape[-1] // num_heads
    context, probabilities = np.zeros_like(q), np.zeros(shape)
    for row in range(batch):
        for head in range(num_heads):
            own = slice(head * width, (head + 1) * width)
            shared = slice(head // group * width, (head // group + 1) * width)
            queries, keys, values = q[row, :, own], k[row, :, shared], v[row, :, shared]
            if qk_norm is not None:
                queries = rms_norm(w["query_norm"], queries, qk_norm)
                keys = rms_norm(w["key_norm"], keys, qk_norm)
            if rotary is not False:
                settings = rotary if isinstance(rotary, dict) else {}
                queries, keys = rotate(queries, **settings), rotate(keys, **settings)
            scores = queries @ keys.T / math.sqrt(width) + bias[row, head]
            weights = softmax(np.where(allowed[row, head], scores, -np.inf))
            probabilities[row, head] = weights
            context[row, :, own] = weights @ values
    return projection(w["output"], context), probabilities


def feed_forward(w, x, *, activation="gelu", gated=False):
    """Section 3.3; the gated form is Shazeer 2020."""
    activate, up = ACTIVATIONS[activation], projection(w["up"], x)
    hidden = activate(projection(w["gate"], x)) * up if gated else activate(up)
    return projection(w["down"], hidden)


def residual(
    w, x, sublayer, *, norm="layer_norm", pre_norm=False, epsilon=1e-6, sandwich=False, onto=None
):
    def normalize(y, name="norm"):
        return NORMS[norm](w[name], y, epsilon) if name in w else y

    if not pre_norm:
        return normalize(x + sublayer(x))
    y = sublayer(normalize(x))
    return (x if onto is None else onto) + (normalize(y, "post_norm") if sandwich else y)


def block(
    w, x, memory=None, *, num_heads, num_key_value_heads=None, allowed=True, bias=0.0,
    memory_allowed=True, rotary=False, activation="gelu", gated=False, qk_norm=False,
    parallel=False, epsilon=1e-6, **norm,
):  # fmt: skip
    """An encoder's or a decoder's block: cross attention where there are weights for it."""
    heads = {"num_heads": num_heads, "num_key_value_heads": num_key_value_heads}
    about_self = {**heads, "allowed": allowed, "bias": bias, "rotary": rotary}
    about_self["qk_norm"] = epsilon if qk_norm else None
    inputs = x
    sublayers = {
        "attention": lambda v, y: attention(v, y, **about_self)[0],
        "cross_attention": lambda v, y: attention(v, y, memory, **heads, allowed=memory_allowed)[0],
        "feed_forward": lambda v, y: feed_forward(v, y, activation=activation, gated=gated),
    }
    for name, sublayer in sublayers.items():
        if name in w:
            inner = w[name]["sublayer"]
            beside = parallel and name == "feed_forward"
            x = residual(
                w[name], inputs if beside else x, lambda y, f=sublayer, v=inner: f(v, y),
                onto=x if beside else None, epsilon=epsilon, **norm,
            )  # fmt: skip
    return x


def stack(
    w, x, memory=None, *, num_layers, norm="layer_norm", pre_norm=False, epsilon=1e-6,
    allowed=True, shared=False, window=0, pattern="L", local_rotary=None, rotary=False, **kw,
):  # fmt: skip
    """An encoder, or with a causal `allowed` a decoder."""
    near = np.abs(distances(x.shape[1], x.shape[1])) < (window or np.inf)
    for i in range(num_layers):
        is_local = bool(window) and pattern[i % len(pattern)] == "L"
        turned = local_rotary if is_local and local_rotary is not None else rotary
        x = block(
            w[f"block_{0 if shared else i}"], x, memory, norm=norm, pre_norm=pre_norm,
            epsilon=epsilon, rotary=turned, allowed=allowed & near if is_local else allowed, **kw,
        )  # fmt: skip
    return NORMS[norm](w["final_norm"], x, epsilon) if pre_norm else x


def logits(table, x, bias=0.0):
    """(B, T, V), by the rows of the embedding's table (V, D), plus a bias (V,)."""
    return x @ table.T + bias


def fake_quant(x, minimum, maximum, bits):
    """Rounds to the `2**bits` values of an affine grid on which zero lies exactly."""
    top = 2**bits - 1
    scale = (maximum - minimum) / top
    zero_point = np.clip(math.floor(-minimum / scale + 0.5), 0, top)
    stored = np.clip(np.floor(x / scale + zero_point + 0.5), 0, top)
    return (stored - zero_point) * scale


def round_kernel(kernel, bits):
    """Each column on a symmetric grid with its own largest magnitude as the last value."""
    scale = np.abs(kernel).max(axis=0) / (2 ** (bits - 1) - 1)
    return np.rint(kernel / np.where(scale == 0.0, 1.0, scale)) * scale
