"""The sharing is Vault's: any threshold of shares gives the secret back, fewer or wrong ones do not."""

from itertools import combinations

import pytest

from watchdogd.lab.seeded import Seeded
from watchdogd.lab.shamir import combine, divide, multiply, split

SECRET = bytes(range(32))


def test_any_three_of_five_shares_give_the_secret_back() -> None:
    shares = split(SECRET, shares=5, threshold=3, chance=Seeded(1, "t"))
    assert {combine(three) for three in combinations(shares, 3)} == {SECRET}


def test_two_of_three_needed_shares_give_something_else() -> None:
    shares = split(SECRET, shares=5, threshold=3, chance=Seeded(1, "t"))
    assert combine(shares[:2]) != SECRET


def test_a_share_is_the_secret_s_length_and_one_byte_of_x_coordinate() -> None:
    shares = split(SECRET, shares=5, threshold=3, chance=Seeded(1, "t"))
    assert {len(s) for s in shares} == {33}
    assert len({s[-1] for s in shares}) == 5
    assert 0 not in {s[-1] for s in shares}


# hashicorp/vault shamir/shamir_test.go: TestField_Mult and TestField_Divide
@pytest.mark.parametrize(("a", "b", "product"), [(3, 7, 9), (3, 0, 0), (0, 3, 0)])
def test_products_are_those_of_vault_s_field(a: int, b: int, product: int) -> None:
    assert multiply(a, b) == product


@pytest.mark.parametrize(("a", "b", "quotient"), [(0, 7, 0), (3, 3, 1), (6, 3, 2)])
def test_quotients_are_those_of_vault_s_field(a: int, b: int, quotient: int) -> None:
    assert divide(a, b) == quotient


def test_the_field_is_that_of_aes() -> None:
    assert multiply(0x53, 0xCA) == 1  # FIPS 197: inverse elements
    assert all(divide(multiply(a, b), b) == a for a in range(256) for b in range(1, 256, 17))


@pytest.mark.parametrize(
    ("shares", "text"),
    [
        ([b"\1\2"], "less than two parts"),
        ([b"\1\2", b"\1\2\3"], "all parts must be the same length"),
        ([b"\1\2", b"\3\2"], "duplicate part"),
    ],
)
def test_shares_that_cannot_be_combined_are_refused_in_vault_s_words(shares: list[bytes], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        combine(shares)


def test_a_threshold_above_the_number_of_shares_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot split"):
        split(SECRET, shares=2, threshold=3, chance=Seeded(1, "t"))
