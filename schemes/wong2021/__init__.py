"""Schemes of wong2021: power allocation over frequency channels in cells that use zero-forcing."""

PAPER = (
    "Kai-Kit Wong, Guochen Liu, Wenjing Cun, Wenkai Zhang, Mingming Zhao, and Zhongbin Zheng, Truly Distributed "
    "Multicell Multi-Band Multiuser MIMO by Synergizing Game Theory and Deep Learning, IEEE Access, 2021. "
    "doi:10.1109/ACCESS.2021.3059587"
)
