"""A network of which only one question is asked: two answers of a tag or of groups of classes, one number, a likeness.

Each is a network itself, so that it is explained and measured like any other.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity


class OneTag(nn.Module):
    """Whether one tag holds: the logit z of a tag becomes -z / 2 and z / 2 for no and yes, whose softmax is sigmoid(z).

    Args:
        network: gives logits (B, C) of tags.
        tag: number of the tag.
    """

    def __init__(self, network: nn.Module, tag: int) -> None:
        super().__init__()
        self.network, self.tag = network, tag

    def forward(self, input: Tensor) -> Tensor:
        """Logits (B, 2)."""
        return both_ways(self.network(input)[:, self.tag])


class Groups(nn.Module):
    """Whether it is one of some classes or one of some others.

    The logit of a group is the logarithm of the sum of exp(logit) over its classes: for one class, its logit. So the
    softmax of both is the network's own probability of the groups, given that it is one of them.

    Args:
        network: gives logits (B, C) of classes.
        members: numbers of the classes of the one group, and of the other.
        is_contrast: whether the difference d of both is explained: the logits are d / 2 and -d / 2.
    """

    def __init__(self, network: nn.Module, members: Sequence[Sequence[int]], is_contrast: bool) -> None:
        super().__init__()
        self.network, self.is_contrast = network, is_contrast
        self.members = [list(group) for group in members]

    def forward(self, input: Tensor) -> Tensor:
        """Logits (B, 2)."""
        logits = self.network(input)
        one, other = (
            logits[:, group].logsumexp(1) if len(group) > 1 else logits[:, group[0]] for group in self.members
        )
        return both_ways(other - one) if self.is_contrast else torch.stack([one, other], 1)


class OneNumber(nn.Module):
    """One of several numbers that a network gives.

    Args:
        network: gives numbers (B, C).
        number: which of them.
    """

    def __init__(self, network: nn.Module, number: int) -> None:
        super().__init__()
        self.network, self.number = network, number

    def forward(self, input: Tensor) -> Tensor:
        """(B, 1)."""
        return self.network(input)[:, self.number, None]


class Likeness(nn.Module):
    """The cosine between the embedding of a clip and that of a reference.

    Args:
        network: gives embeddings (B, D).
        reference: (1, D).
    """

    reference: Tensor

    def __init__(self, network: nn.Module, reference: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("reference", reference)

    def forward(self, input: Tensor) -> Tensor:
        """(B, 1), from -1 to 1."""
        return cosine_similarity(self.network(input), self.reference, dim=1)[:, None]


def both_ways(value: Tensor) -> Tensor:
    """Logits (B, 2) of no and yes for log-odds (B,)."""
    return torch.stack([-value / 2, value / 2], 1)
