import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifhist import auth
from notifhist.auth import ADMIN, CREATOR, OBSERVER, RUNS_EDIT, RUNS_VIEW, ApiKey, hash_secret, new_key, split_key

SECRET = "abcde" * 8 + "abc"
KEY = f"nh_0123456789ab_{SECRET}"
ROLES = (OBSERVER, CREATOR, ADMIN, RUNS_VIEW, RUNS_EDIT)
ALLOWED = {
    OBSERVER: {OBSERVER},
    CREATOR: {OBSERVER, CREATOR},
    ADMIN: {OBSERVER, CREATOR, ADMIN},
    RUNS_VIEW: {RUNS_VIEW},
    RUNS_EDIT: {RUNS_VIEW, RUNS_EDIT},
    "monitoring:owner": set(),
    "": set(),
}


def key(*roles: str, expires: int | None = None, revoked: int | None = None) -> ApiKey:
    return ApiKey("0123456789ab", "name", "tenant", roles, hash_secret("s"), 0, expires, revoked)


def test_the_roles_have_their_published_names() -> None:
    assert ROLES == (
        "monitoring:observer",
        "monitoring:creator",
        "monitoring:admin",
        "notification-logs:view",
        "notification-logs:edit",
    )


@pytest.mark.parametrize("own", ALLOWED)
def test_a_role_includes_the_lesser_ones_of_its_api(own: str) -> None:
    assert {role for role in ROLES if key(own).allows(role)} == ALLOWED[own]


def test_roles_add_up_and_none_allows_nothing() -> None:
    both = key(OBSERVER, RUNS_EDIT)
    assert {role for role in ROLES if both.allows(role)} == {OBSERVER, RUNS_VIEW, RUNS_EDIT}
    assert not any(key().allows(role) for role in ROLES)


@pytest.mark.parametrize(
    ("expires", "revoked", "valid"),
    [
        (None, None, True),
        (1001, None, True),
        (1000, None, False),
        (999, None, False),
        (None, 5000, False),
        (None, 0, False),
        (5000, 5000, False),
    ],
)
def test_a_key_is_valid_until_it_expires_or_is_revoked(expires: int | None, revoked: int | None, valid: bool) -> None:
    assert key(expires=expires, revoked=revoked).is_valid(1000) == valid


def test_a_new_key_can_be_told_from_its_hash_only() -> None:
    text, key_id, secret_hash = new_key()
    parts = split_key(text)
    assert parts is not None
    assert parts[0] == key_id
    assert secret_hash == hash_secret(parts[1]) == hashlib.sha256(parts[1].encode()).hexdigest()
    assert ApiKey(key_id, "n", "t", (), secret_hash, 0).has_secret(parts[1])
    assert parts[1] not in secret_hash


def test_another_secret_is_not_the_key_s() -> None:
    assert key().has_secret("s")
    for other in ("", "S", "s ", "ss", hash_secret("s")):
        assert not key().has_secret(other)


def test_new_keys_differ() -> None:
    assert len({new_key() for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nh_",
        "nh_0123456789ab",
        f"nh_0123456789ab_{'a' * 42}",
        f"nh_0123456789ab_{'a' * 44}",
        f"nh_0123456789AB_{'a' * 43}",
        f"nh_0123456789a_{'a' * 43}",
        f"NH_0123456789ab_{'a' * 43}",
        f" nh_0123456789ab_{'a' * 43}",
        f"nh_0123456789ab_{'a' * 43}\n",
        f"nh_0123456789ab_{'a' * 42}é",
        f"nh_0123456789ab_{'a' * 42}'",
        f"nh_٠123456789ab_{'a' * 43}",
    ],
)
def test_what_does_not_have_the_form_of_a_key_is_none(text: str) -> None:
    assert split_key(text) is None


@given(st.text("x_-0"), st.lists(st.sampled_from((KEY, "x", "nh_")), max_size=4), st.integers(0, 300))
def test_a_beginning_has_no_part_of_a_secret(begin: str, parts: list[str], length: int) -> None:
    text = begin + "".join(parts) + "y" * 300
    cut = auth.beginning(text, length)
    assert len(cut) <= length
    assert SECRET[:5] not in cut
    assert auth.hide_secrets(text).startswith(cut)


def test_a_secret_may_hold_the_separator() -> None:
    assert split_key(f"nh_0123456789ab_{'_' * 43}") == ("0123456789ab", "_" * 43)
