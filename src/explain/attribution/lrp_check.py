"""Checks whether the rules of layer-wise relevance propagation are right for a network."""

from typing import Any

from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from zennit.layer import Sum
from zennit.types import Activation, AvgPool, Linear

from auscult.mistake import Mistake
from auscult.modules.colours import Colours

# Where there is no rule, relevance follows the gradient. That is right for operations that only move values, and for
# maxima, where the winner takes all.
ROUTES = {
    "_reshape_alias", "_to_copy", "_unsafe_view", "alias", "cat", "clone", "constant_pad_nd", "detach", "expand",
    "flip", "gather", "im2col", "index", "index_select", "permute", "pixel_shuffle", "pixel_unshuffle", "repeat",
    "roll", "select", "slice", "split", "split_with_sizes", "squeeze", "stack", "t", "transpose", "unbind", "unfold",
    "unsqueeze", "view", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d", "replication_pad1d",
    "replication_pad2d", "replication_pad3d", "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d",
    "adaptive_max_pool2d", "adaptive_max_pool3d", "amax", "max", "max_pool2d_with_indices", "max_pool3d_with_indices",
}  # fmt: skip
WAYS_OUT = [
    ({"relu", "clamp", "gelu", "silu", "sigmoid", "tanh"}, "make it a module of its own, such as nn.ReLU"),
    ({"convolution", "addmm", "mm", "bmm"}, "leave it to a module such as nn.Conv1d or nn.Linear as it is"),
    ({"add", "sum"}, "stack what is added and let the module zennit.layer.Sum do it"),
    ({"mean", "avg_pool2d"}, "leave it to a module such as nn.AdaptiveAvgPool1d"),
    ({"native_batch_norm", "cudnn_batch_norm"}, "fold it into the layer before with torch.nn.utils.fusion"),
    ({"softmax", "log_softmax"}, "let the network end in logits"),
]
OTHERWISE = "do without it, or leave it to the front end"


class ForwardCheck(TorchDispatchMode):
    """Watches a forward pass and stops at the first flaw that would silently make relevance wrong.

    There are three flaws: an operation without a rule, outside the modules that have one and not among `ROUTES`; the
    second use of a module; and a weight that is computed from others.

    Args:
        network: the network to check.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.names = {module: name for name, module in network.named_modules()}
        self.running: list[nn.Module] = []  # the innermost last
        self.used: list[nn.Module] = []  # modules that have a rule, in the order of their use

    def watch(self, input: Tensor) -> None:
        """Runs the network on the input (1, ...).

        Raises:
            Mistake: the first flaw, the module it is in, and the way out.
        """
        hooks = []
        for module in self.network.modules():
            hooks += [module.register_forward_pre_hook(self._enter)]
            hooks += [module.register_forward_hook(self._leave, prepend=True)]
        try:
            # so that only values that depend on the input require a gradient
            frozen = {name: parameter.detach() for name, parameter in self.network.named_parameters()}
            with self:
                functional_call(self.network, frozen, input.requires_grad_().clone())
        finally:
            for hook in hooks:
                hook.remove()

    def mistake(self, module: nn.Module, flaw: str, way_out: str) -> Mistake:
        """The Mistake that names a module of the network, its flaw and the way out."""
        place = ".".join(filter(None, ["network", self.names[module]]))
        return Mistake(
            f"LRP would be wrong: {place} ({type(module).__name__}) {flaw}; {way_out}, or choose"
            " attribution=integrated_gradients."
        )

    def _enter(self, module: nn.Module, _: Any) -> None:
        self.running.append(module)
        if not has_rule(module):
            return
        if module in self.used:
            raise self.mistake(module, "runs more than once in a forward pass", "make each use a module of its own")
        if isinstance(module, Linear) and "weight" not in dict(module.named_parameters(recurse=False)):
            way_out = "make it plain, as torch.nn.utils.parametrize.remove_parametrizations does"
            raise self.mistake(module, "computes its weight from others", way_out)
        self.used.append(module)

    def _leave(self, *_: Any) -> None:
        self.running.pop()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        operation = func.overloadpacket.__name__
        if operation not in ROUTES and not has_rule(self.running[-1]):
            tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
            if any(tensor.requires_grad for tensor in tensors):
                way_out = next((way for known, way in WAYS_OUT if operation.strip("_") in known), OTHERWISE)
                raise self.mistake(self.running[-1], f"applies {operation}, which no rule is tied to", way_out)
        return func(*args, **(kwargs or {}))


def has_rule(module: nn.Module) -> bool:
    """Whether our composites have a rule that fits a module. They have none for a subclass that changes `forward`."""
    if type(module) is Colours:
        return True
    ruled = isinstance(module, Linear | Activation | AvgPool | Sum) and not isinstance(module, nn.MultiheadAttention)
    return ruled and module.forward.__module__.startswith(("torch.nn.modules.", "zennit."))
