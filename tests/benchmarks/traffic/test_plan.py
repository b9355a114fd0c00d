"""Who takes part: as many users as asked for, of the kinds that were asked for, and none left out."""

from __future__ import annotations

import pytest

from benchmarks.traffic.plan import SHARES, deal, shares_of


@pytest.mark.parametrize("users", [7, 8, 14, 40, 1000])
def test_as_many_users_as_asked_for_with_every_kind_among_them(users: int) -> None:
    dealt = deal(users, SHARES)
    assert sum(dealt.values()) == users
    assert dealt.keys() == SHARES.keys()
    assert min(dealt.values()) >= 1


def test_kinds_that_are_not_named_take_no_part() -> None:
    assert deal(10, shares_of("single=3, retry=1")) == {"single": 8, "retry": 2}


@pytest.mark.parametrize("text", ["cat=3", "single=x", "single=0"])
def test_a_mix_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        shares_of(text)


def test_fewer_users_than_kinds_are_refused() -> None:
    with pytest.raises(ValueError, match="at least as many"):
        deal(6, SHARES)
