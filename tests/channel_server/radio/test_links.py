"""Groups of links, packed and unpacked."""

import numpy as np

from channel_server.radio.links import Links


def test_groups_come_back_as_they_were_packed() -> None:
    links = Links(cross=(2, 3), own=(2,))
    cross, own = np.arange(12.0).reshape(2, 2, 3), np.arange(4.0).reshape(2, 2)
    flat = links.pack(own=own, cross=cross)
    assert flat.shape == (2, links.size)
    np.testing.assert_array_equal(links.group(flat, "cross"), cross)
    np.testing.assert_array_equal(links.group(flat, "own"), own)


def test_a_mask_covers_the_named_links_alone() -> None:
    links = Links(cross=(2, 3), own=(2,))
    assert links.where(own=np.array([False, True])).tolist() == [False] * 7 + [True]
