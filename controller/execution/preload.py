"""Imported once by the forkserver: every process of a run needs this, and shares its pages by copy on write."""

from protocol.determinism import threads

threads.pin()

import gc  # noqa: E402

import numpy.random  # noqa: E402, F401

import agent_node.edge  # noqa: E402, F401
import channel_server.edge  # noqa: E402, F401
import controller.execution.processes  # noqa: E402, F401
from protocol.determinism.fingerprint import fingerprint  # noqa: E402

fingerprint()
gc.collect()
gc.freeze()  # a child's collector would otherwise write into every inherited object and unshare its page
