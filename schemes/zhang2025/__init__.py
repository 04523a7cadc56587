"""Schemes of zhang2025: scheduling on a directed conflict graph, and allocation in a cellular network."""

PAPER = (
    "Yiming Zhang and Dongning Guo, Multi-Agent Reinforcement Learning for Multi-Cell Spectrum and Power Allocation, "
    "IEEE Transactions on Communications 73(8), 5980-5992, 2025. doi:10.1109/TCOMM.2025.3534565, arXiv:2312.05746"
)
