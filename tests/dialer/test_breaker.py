from dialer.breaker import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, RUN, Breaker


def test_a_run_of_failures_opens_it() -> None:
    breaker = Breaker()
    assert [breaker.failed(0.0) for _ in range(RUN)] == [False] * (RUN - 1) + [True]
    assert breaker.allowance(0.0, 0) == 0
    assert not breaker.failed(1.0)


def test_a_success_in_between_starts_the_run_anew() -> None:
    breaker = Breaker()
    for _ in range(RUN - 1):
        breaker.failed(0.0)
    breaker.worked()
    breaker.failed(0.0)
    assert breaker.allowance(0.0, 9) is None


def test_after_the_pause_one_call_tries_and_each_failure_doubles_the_pause() -> None:
    breaker = Breaker()
    for _ in range(RUN):
        breaker.failed(0.0)
    assert breaker.allowance(FIRST_PAUSE_SECONDS, 0) == 1
    assert breaker.allowance(FIRST_PAUSE_SECONDS, 1) == 0
    now = FIRST_PAUSE_SECONDS
    for _ in range(20):
        assert breaker.failed(now)
        now += LONGEST_PAUSE_SECONDS
    assert breaker.allowance(now, 0) == 1
    breaker.worked()
    assert breaker.allowance(now, 0) is None
