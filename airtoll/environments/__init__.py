"""Runs as environments of other libraries: PettingZoo, Gymnasium, TorchRL.

Nothing here is imported before it is asked for: a node that starts with `import airtoll` loads none of these libraries.
"""
