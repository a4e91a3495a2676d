"""Shamir's secret sharing over GF(256), byte for byte as Vault does it.

A share is one byte for every byte of the secret and, at its end, its x coordinate (1 to 255). The field is that of AES
(x^8 + x^4 + x^3 + x + 1). Source: hashicorp/vault shamir/shamir.go.
"""

from collections.abc import Sequence

from watchdogd.lab.seeded import Seeded


def _powers() -> tuple[list[int], list[int]]:
    exp, log, value = [0] * 510, [0] * 256, 1
    for power in range(255):
        exp[power] = exp[power + 255] = value
        log[value] = power
        doubled = value << 1 ^ (0x11B if value & 0x80 else 0)
        value ^= doubled  # times 3, a generator of the field
    return exp, log


_EXP, _LOG = _powers()


def multiply(a: int, b: int) -> int:
    """Product in GF(256)."""
    return 0 if a == 0 or b == 0 else _EXP[_LOG[a] + _LOG[b]]


def divide(a: int, b: int) -> int:
    """Quotient in GF(256). Raises ZeroDivisionError."""
    if b == 0:
        raise ZeroDivisionError("divide by zero in GF(256)")
    return 0 if a == 0 else _EXP[(_LOG[a] - _LOG[b]) % 255]


def split(secret: bytes, *, shares: int, threshold: int, chance: Seeded) -> tuple[bytes, ...]:
    """Shares of `secret`, any `threshold` of which give it back. Raises ValueError on what Vault refuses."""
    if not 2 <= threshold <= shares <= 255 or not secret:
        raise ValueError(f"cannot split {len(secret)} bytes into {shares} shares of which {threshold} are needed")
    coordinates = chance.order(shares, 255)
    polynomials = [bytes([byte]) + chance.octets(threshold - 1) for byte in secret]
    return tuple(bytes(_value_at(p, x) for p in polynomials) + bytes([x]) for x in coordinates)


def combine(shares: Sequence[bytes]) -> bytes:
    """The secret, if the shares are enough and right; something else if not. Raises ValueError on Vault's refusals."""
    if len(shares) < 2:
        raise ValueError("less than two parts cannot be used to reconstruct the secret")
    if len({len(s) for s in shares}) != 1 or len(shares[0]) < 2:
        raise ValueError("all parts must be the same length")
    xs = [s[-1] for s in shares]
    if len(set(xs)) != len(xs):
        raise ValueError("duplicate part detected")
    return bytes(_at_zero(xs, [s[i] for s in shares]) for i in range(len(shares[0]) - 1))


def _value_at(polynomial: bytes, x: int) -> int:
    value = 0
    for coefficient in reversed(polynomial):
        value = multiply(value, x) ^ coefficient
    return value


def _at_zero(xs: Sequence[int], ys: Sequence[int]) -> int:
    total = 0
    for i, (x, y) in enumerate(zip(xs, ys, strict=True)):
        weight = 1
        for j, x_j in enumerate(xs):
            if i != j:
                weight = multiply(weight, divide(x_j, x ^ x_j))
        total ^= multiply(y, weight)
    return total
