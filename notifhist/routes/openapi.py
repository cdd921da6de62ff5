"""stub"""


def describe() -> dict[str, object]:
    return {}
