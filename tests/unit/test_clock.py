import time

from notifhist.clock import Clock


def test_it_tells_the_time_of_the_machine() -> None:
    before = time.time_ns()
    ticks, now_ms = Clock().now_ticks(), Clock().now_ms()
    after = time.time_ns()
    assert before // 100 <= ticks <= after // 100
    assert before // 1_000_000 <= now_ms <= after // 1_000_000


def test_it_goes_on() -> None:
    clock = Clock()
    earlier = clock.now_ticks()
    time.sleep(0.001)
    assert clock.now_ticks() >= earlier + 10_000


def test_a_frozen_one_stands_still() -> None:
    clock = Clock(1_320_885_544_875)
    time.sleep(0.002)
    assert clock.now_ms() == 1_320_885_544_875
    assert clock.now_ticks() == 13_208_855_448_750_000


def test_the_epoch_is_a_time_to_freeze_at() -> None:
    assert Clock(0).now_ms() == 0
