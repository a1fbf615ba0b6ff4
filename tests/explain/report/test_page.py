from itertools import pairwise

import numpy as np

from auscult.explain.report.page import said


def test_what_is_said_lies_where_it_sounds(source_of):
    """Wherever the clip lies in its frame; phones that are 0.15 s off hold less of its energy."""
    source = source_of()
    waveforms = source.dataset.__getitems__([0, 1, 2])["waveform"][:, 0].numpy()
    seconds = np.arange(8000) / 8000
    for row, waveform in enumerate(waveforms):
        phones = said(source, row, 8000)

        def share(shift: float, phones=phones, energy=waveform**2) -> float:
            within = (seconds >= phones[0].start + shift) & (seconds < phones[-1].stop + shift)
            return float(energy[within].sum() / energy.sum())

        assert share(0) > 0.99 > max(share(-0.15), share(0.15))
        assert all(one.stop == other.start for one, other in pairwise(phones))


def test_nothing_is_said_where_it_is_not_known(source_of):
    """A lead-in moves the clip, and few corpora know their phones."""
    assert said(source_of(kind="lead_in"), 0, 8000) == []
    source = source_of()
    assert said(type(source)(source.dataset, source.clips, []), 0, 8000) == []
