"""Schemes of li2020: spectrum allocation for device-to-device (D2D) pairs under a downlink cell."""

PAPER = (
    "Zheng Li and Caili Guo, Multi-Agent Deep Reinforcement Learning Based Spectrum Allocation for D2D Underlay "
    "Communications, IEEE Transactions on Vehicular Technology 69(2), 1828-1840, 2020. doi:10.1109/TVT.2019.2961405, "
    "arXiv:1912.09302"
)
