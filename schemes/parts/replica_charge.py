"""The charge of notes that only some replicas send: the toll of a run is that of one replica."""


class ReplicaCharge:
    """Divides bits by the number of replicas and carries what is left over to the next note, so that all charges
    together are less than one bit under the exact share, however short the notes are.

    `remainder`: what is left over, in bits of all replicas; the state between two notes.
    """

    def __init__(self, replicas: int) -> None:
        self._replicas = replicas
        self.remainder = 0

    def of(self, bits: int) -> int:
        """What the air is charged for so many bits of all replicas together."""
        charged, self.remainder = divmod(bits + self.remainder, self._replicas)
        return charged
