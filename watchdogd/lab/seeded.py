"""Chance with a seed: ids, tokens and losses that come out the same every time."""

import hashlib
import random
import uuid

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Seeded:
    """One stream of chance. Streams with different names do not disturb each other's order."""

    def __init__(self, seed: int, stream: str) -> None:
        digest = hashlib.sha256(f"{seed}/{stream}".encode()).digest()
        self._random = random.Random(int.from_bytes(digest[:8], "big"))

    def uuid(self) -> str:
        """A UUID in Vault's spelling."""
        return str(uuid.UUID(int=self._random.getrandbits(128)))

    def base62(self, length: int) -> str:
        """Letters and digits, as in tokens and one-time passwords."""
        return "".join(self._random.choices(_BASE62, k=length))

    def octets(self, length: int) -> bytes:
        """Random bytes."""
        return self._random.randbytes(length)

    def number(self, low: int, high: int) -> int:
        """A whole number in [low, high]."""
        return self._random.randint(low, high)

    def happens(self, probability: float) -> bool:
        """True with this probability; draws only where the answer is open."""
        return probability >= 1.0 or (probability > 0.0 and self._random.random() < probability)

    def order(self, count: int, of: int) -> list[int]:
        """`count` different whole numbers of [1, of]."""
        return self._random.sample(range(1, of + 1), count)
