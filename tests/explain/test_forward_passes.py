"""How often an explanation asks the network: as the demo does, though of a network that answers sooner."""

import pytest
from torch.nn.modules.module import register_module_forward_hook

from auscult.modules.networks.melcnn import MelCNN

# Curves of six orders at nine fractions above zero; the logits; the relevance, and that of the next
# class; the relevant part, and all but it.
# They were 60 before a batch's logits were handed on: the curves and the measures computed them again.
PER_CLIP = 6 * 9 + 1 + 2 + 2
# The checkpoint and the question are tried out; the network answers five clips twice (does it draw by chance?) and
# once by its rules; memory is measured.
ONCE = 3 + 3 * 5 + 3
CLIPS = 2


@pytest.mark.slow
def test_a_clip_is_asked_for_no_more_often_than_it_has_to_be(explain_here, trained):
    passes = []
    checkpoint = trained("melcnn", "sex")
    hook = register_module_forward_hook(
        lambda module, given, _: passes.append(len(given[0])) if isinstance(module, MelCNN) else None
    )
    try:
        assert explain_here(f"checkpoint={checkpoint}", f"limit={CLIPS}", "clips=0", "hydra.run.dir=run") == ""
    finally:
        hook.remove()
    assert CLIPS * 6 * 9 < sum(passes) <= CLIPS * PER_CLIP + ONCE
