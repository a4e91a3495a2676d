"""What a number that people give may be, and how they are told."""

from dataclasses import dataclass
from math import inf, isfinite


@dataclass(frozen=True, slots=True)
class Number:
    """From `least` to `most`, both included. `or_inf`: infinity too, for what never is."""

    least: float = -inf
    most: float = inf
    is_whole: bool = False
    or_inf: bool = False

    def takes(self, value: float) -> bool:
        """Whether it may be this one."""
        if not isfinite(value):
            return self.or_inf and value == inf
        return self.least <= value <= self.most and (not self.is_whole or value == int(value))

    def __str__(self) -> str:
        whole, or_inf = "whole " if self.is_whole else "", ", or inf" if self.or_inf else ""
        if isfinite(self.most):
            return f"a {whole}number from {self.least:g} to {self.most:g}{or_inf}"
        return f"a {whole}number from {self.least:g} on{or_inf}" if isfinite(self.least) else f"a {whole}number"
