"""What is worked out once is worked out for each object, and never told of another."""

from reidflow.spec.memo import cached_by_identity


def test_a_value_is_worked_out_once_for_each_object_and_apart_for_equal_ones():
    asked = []

    @cached_by_identity
    def length(thing):
        asked.append(thing)
        return [len(thing)]

    one, other = [1, 2], [1, 2]
    assert length(one) is length(one) and length(one) is not length(other)
    assert asked == [one, other]


def test_an_object_that_takes_the_place_of_another_in_memory_gets_a_value_of_its_own():
    told = cached_by_identity(lambda thing: thing[0])
    assert [told([number]) for number in range(1000)] == list(range(1000))


def test_another_function_remembers_on_its_own():
    thing = [3]
    assert cached_by_identity(lambda found: found[0])(thing) == 3
    assert cached_by_identity(lambda found: -found[0])(thing) == -3
