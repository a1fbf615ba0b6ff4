"""Which operation has which rule, by PyTorch's name for it. Python's operators stand beside the functions."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from auscult.explain.lrp import attention, elementwise, layers, maxima, norms, pools, recurrent, spectral
from auscult.explain.lrp.watch import Watch


def named(rule: Callable[..., Any], *names: str) -> Callable[..., Any]:
    """A rule that takes its arguments by PyTorch's names, too."""

    def called(watch: Watch, *args: Any, **kwargs: Any) -> Any:
        given = list(args)
        for name in names[len(given) :]:
            if name not in kwargs:
                break
            given.append(kwargs.pop(name))
        return rule(watch, *given, **kwargs)

    return called


ACTIVATIONS = {
    "__abs__", "__neg__", "__pos__", "abs", "absolute", "acosh", "arctan", "asinh", "atan", "atanh", "ceil", "celu",
    "clamp", "clamp_max", "cosh", "sinc", "sinh",
    "clamp_min", "clip", "cos", "elu", "erf", "erfc", "exp", "exp2", "expm1", "floor", "gelu", "hardshrink",
    "hardswish", "hardtanh", "leaky_relu", "log10", "log1p", "log2", "mish",
    "nan_to_num", "neg", "negative", "positive", "prelu", "relu", "relu6", "round", "rrelu",
    "selu", "sign", "silu", "sin", "softplus", "softshrink", "sqrt", "square", "tanh", "threshold",
    "trunc",
}  # fmt: skip
GATES = {"hardsigmoid", "sigmoid", "special_expit"}
# what gates become is a gate if all that it is made of are gates
KEEPS_GATES = {
    "__add__", "__mul__", "__radd__", "__rmul__", "__rsub__", "__sub__", "_upsample_bilinear2d_aa",
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "add", "avg_pool1d", "avg_pool2d",
    "avg_pool3d", "cat", "concat", "concatenate", "constant_pad_nd", "masked_fill", "maximum", "mean", "minimum", "mul",
    "multiply", "nan_to_num", "pad", "rsub", "set_item", "stack", "sub", "subtract", "upsample_bilinear2d",
    "upsample_linear1d", "upsample_trilinear3d", "where",
}  # fmt: skip
# of several values: linear, or with a degree, see `pools.linear`
LINEAR = {
    "_upsample_bicubic2d_aa", "_upsample_bilinear2d_aa", "adaptive_avg_pool1d", "adaptive_avg_pool2d",
    "adaptive_avg_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d", "col2im", "cumsum", "grid_sampler", "linalg_norm",
    "linalg_vector_norm", "trapezoid", "trapz", "mean", "nanmean", "nansum", "norm", "quantile", "std", "sum", "trace",
    "upsample_bicubic2d", "upsample_bilinear2d", "upsample_linear1d", "upsample_trilinear3d",
}  # fmt: skip
RULED: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("__add__", "__radd__", "add"), named(elementwise.add, "input", "other")),
    **dict.fromkeys(("__sub__", "sub", "subtract"), named(elementwise.subtract, "input", "other")),
    **dict.fromkeys(("__rsub__", "rsub"), elementwise.subtract_reversed),
    **dict.fromkeys(("__mul__", "__rmul__", "mul", "multiply"), named(elementwise.multiply, "input", "other")),
    **dict.fromkeys(("__truediv__", "div", "divide", "true_divide"), named(elementwise.divide, "input", "other")),
    **dict.fromkeys(("__pow__", "pow", "float_power"), elementwise.power),
    "glu": elementwise.gated_linear_unit,
    **{name: layers.convolution(name) for name in (
        "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
    )},
    "linear": layers.dense,
    "tril": pools.triangle(torch.tril), "triu": pools.triangle(torch.triu),
    **dict.fromkeys(("__matmul__", "matmul", "linalg_matmul"), named(layers.product, "input", "other")),
    **dict.fromkeys(("mm", "bmm"), named(layers.product, "input", "mat2")),
    **dict.fromkeys(("addmm",), named(layers.added_product, "input", "mat1", "mat2")),
    "baddbmm": named(layers.added_product, "input", "batch1", "batch2"),
    "einsum": layers.einsum,
    "batch_norm": named(
        layers.batch_norm, "input", "weight", "bias", "running_mean", "running_var", "training", "momentum", "eps",
        "cudnn_enabled",
    ),
    "layer_norm": named(norms.layer_norm, "input", "normalized_shape"),
    "group_norm": named(norms.group_norm, "input", "num_groups"),
    "instance_norm": norms.instance_norm,
    "rms_norm": named(norms.rms_norm, "input", "normalized_shape", "weight", "eps"),
    **dict.fromkeys(("cat", "concat", "concatenate"), pools.concatenate),
    "pad": pools.pad, "constant_pad_nd": lambda watch, input, pad, value=0: pools.pad(watch, input, pad, value=value),
    "stack": pools.stack, "where": named(pools.choose, "condition", "input", "other"),
    "masked_fill": pools.fill, "set_item": pools.set_item,
    **dict.fromkeys(("maximum", "fmax"), named(pools.larger, "input", "other")),
    **dict.fromkeys(("minimum", "fmin"), named(pools.smaller, "input", "other")),
    "softmax": attention.softmax, "log_softmax": attention.log_softmax,
    "scaled_dot_product_attention": attention.attention,
    "gru": recurrent.recurrent(recurrent.GRU), "lstm": recurrent.recurrent(recurrent.LSTM),
    "rnn_tanh": recurrent.recurrent(recurrent.TanhRNN), "rnn_relu": recurrent.recurrent(recurrent.ReluRNN),
}  # fmt: skip
# these rules are told the function that is called
MAX_POOLS = {
    f"{kind}max_pool{count}d{places}": rule(count)
    for kind, rule in (("", maxima.max_pool), ("adaptive_", maxima.adaptive_max_pool))
    for count in (1, 2, 3) for places in ("", "_with_indices")
}  # fmt: skip
TRANSFORMS = {
    "fft_fft", "fft_fft2", "fft_fftn", "fft_hfft", "fft_ifft", "fft_ifft2", "fft_ifftn", "fft_ihfft", "fft_irfft",
    "fft_irfft2", "fft_irfftn", "fft_rfft", "fft_rfft2", "fft_rfftn", "istft", "stft",
}  # fmt: skip
GENERAL: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(ACTIVATIONS, elementwise.activation),
    **dict.fromkeys(GATES, elementwise.gate),
    **dict.fromkeys(("log", "logit", "special_logit"), elementwise.logarithm),
    **dict.fromkeys(("reciprocal", "rsqrt"), elementwise.inverse),
    **dict.fromkeys(("log_sigmoid", "logsigmoid"), elementwise.log_sigmoid),
    **dict.fromkeys(LINEAR, pools.linear),
    **dict.fromkeys(TRANSFORMS, spectral.transform),
    "tensordot": layers.contraction,
    "var": partial(pools.linear, degree=2),
    **dict.fromkeys(("max", "min"), maxima.largest),
    **MAX_POOLS,
}
# Relevance follows the gradient: operations that only move values; maxima, where the winner takes all; and logsumexp,
# a soft maximum whose slopes sum to 1.
MOVES = {
    "H", "T", "__getitem__", "_upsample_nearest_exact1d", "_upsample_nearest_exact2d", "_upsample_nearest_exact3d",
    "adjoint", "align_to", "alpha_dropout", "amax", "amin", "as_strided", "atleast_1d", "atleast_2d", "atleast_3d",
    "broadcast_to", "channel_shuffle", "chunk", "clone", "contiguous", "cpu", "cuda", "cummax", "cummin", "data",
    "diag", "diagonal", "double", "dropout", "dropout1d", "dropout2d", "dropout3d", "dsplit", "expand", "expand_as",
    "feature_alpha_dropout", "feature_dropout", "flatten", "flip", "fliplr", "flipud", "float", "gather", "hsplit",
    "im2col", "imag", "index_select", "kthvalue", "logaddexp", "logaddexp2", "logcumsumexp", "logsumexp", "mH", "mT",
    "masked_select", "median", "moveaxis", "movedim", "nanmedian", "narrow", "narrow_copy", "native_channel_shuffle",
    "native_dropout", "permute", "pixel_shuffle", "pixel_unshuffle", "ravel", "real", "refine_names",
    "reflection_pad1d", "reflection_pad2d", "reflection_pad3d", "repeat", "repeat_interleave", "replication_pad1d",
    "replication_pad2d", "replication_pad3d", "requires_grad_", "reshape", "reshape_as", "roll", "rot90", "select",
    "sort", "split", "split_with_sizes", "squeeze", "swapaxes", "swapdims", "t", "take", "take_along_dim",
    "tensor_split", "tile", "to", "topk", "transpose", "type", "type_as", "unbind", "unflatten", "unfold",
    "unsafe_chunk", "unsafe_split", "unsqueeze", "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d",
    "view", "view_as", "view_as_complex", "view_as_real", "vsplit",
}  # fmt: skip
# what may stand behind the softmax or sigmoid at the end of a network; most of these are views, which cost nothing
MOVES_OF_HEADS = {
    "T", "__getitem__", "clone", "contiguous", "double", "flatten", "float", "mT", "movedim", "narrow", "permute",
    "reshape", "select", "squeeze", "t", "to", "transpose", "unsqueeze", "view",
}  # fmt: skip
FOR_COMPLEX = (MOVES - {"adjoint", "mH"}) | TRANSFORMS | {
    "__abs__", "__mul__", "__rmul__", "__truediv__", "abs", "absolute", "div", "divide", "mul", "multiply",
    "true_divide",
}  # fmt: skip
WHOLE = MOVES | set(MAX_POOLS)  # what PyTorch has written in Python, and is not looked into


def rule_for(name: str, function: Any) -> Callable[..., Any] | None:
    """The rule of an operation, called as `rule(watch, *args, **kwargs)`; None if it has none."""
    if name in RULED:
        return RULED[name]
    if name not in GENERAL:
        return None
    return lambda watch, *args, **kwargs: GENERAL[name](watch, function, *args, **kwargs)
