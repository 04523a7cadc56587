"""Schemes of khan2020: power allocation in the downlink of several cells."""

PAPER = (
    "Ahmad Ali Khan and Raviraj S. Adve, Centralized and Distributed Deep Reinforcement Learning Methods for Downlink "
    "Sum-Rate Optimization, IEEE Transactions on Wireless Communications 19(12), 8410-8426, 2020. "
    "doi:10.1109/TWC.2020.3022705, arXiv:2009.03033"
)
