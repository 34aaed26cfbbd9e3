"""Cached values are computed once for each object, and never returned for another one."""

from reidflow.spec.memo import cached_by_identity


def test_a_value_is_computed_once_for_each_object_and_separately_for_equal_ones():
    calls = []

    @cached_by_identity
    def length(thing):
        calls.append(thing)
        return [len(thing)]

    one, other = [1, 2], [1, 2]
    assert length(one) is length(one) and length(one) is not length(other)
    assert calls == [one, other]


def test_an_object_at_the_address_of_a_deleted_one_gets_its_own_value():
    first = cached_by_identity(lambda thing: thing[0])
    assert [first([number]) for number in range(1000)] == list(range(1000))


def test_each_function_has_its_own_cache():
    thing = [3]
    assert cached_by_identity(lambda found: found[0])(thing) == 3
    assert cached_by_identity(lambda found: -found[0])(thing) == -3
