"""The statistics that BatchNorm keeps for evaluation, in a training of few steps."""

from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.hooks import RemovableHandle


class FirstSteps:
    """Makes a BatchNorm's running statistics the plain mean over the first steps, then as usual.

    They begin at a mean of 0 and a variance of 1, and each step keeps 1 - momentum of what was before: after 28 steps
    at the usual momentum of 0.1, 5 % of that beginning is left, which is more than all of a layer with a variance of
    0.01. A momentum of 1 / n in step n leaves nothing of it, as the correction of Adam's moments (Kingma and Ba, arXiv
    1412.6980, section 3). From step 1 / momentum on, the module has its own momentum.
    """

    def __init__(self, norm: _BatchNorm) -> None:
        self.momentum = float(norm.momentum or 0)
        self.handle: RemovableHandle = norm.register_forward_pre_hook(self)

    def __call__(self, norm: Any, arguments: Any) -> None:
        """Chooses the momentum of a step."""
        if not norm.training:
            return
        step = int(norm.num_batches_tracked) + 1
        is_begun = step == 1 and (bool(norm.running_mean.any()) or bool((norm.running_var != 1).any()))
        if is_begun or 1 / step <= self.momentum:  # begun: statistics of another training, which did not count
            self.end(norm)
        else:
            norm.momentum = 1 / step

    def end(self, norm: _BatchNorm) -> None:
        """Gives the module its own momentum back."""
        self.handle.remove()
        norm.momentum = self.momentum


def first_steps(network: nn.Module) -> list[tuple[FirstSteps, _BatchNorm]]:
    """Begins `FirstSteps` for each BatchNorm of a network that keeps a running mean with a momentum."""
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    return [(FirstSteps(norm), norm) for norm in norms if norm.track_running_stats and norm.momentum]
