"""The options of `notifhist-run`, read from its arguments and from the environment."""

import re
from collections.abc import Mapping, Sequence

from notifhist.run.option_table import FLAG, OPTIONS, PRESET_NAMES

_BY_NAME = {option.name: option for option in OPTIONS}
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")
_MAX_SECONDS = 10_000_000
"""Four months: more than any timeout, and less than what timers overflow at."""
_MAX_RETRIES = 100


class Options:
    """What was asked for. Texts are empty if they were not given; times are in seconds."""

    def __init__(self, values: Mapping[str, list[str]], command: Sequence[str]) -> None:
        self._values = values
        self.command = list(command)
        self.preset = self.text("preset") or "auto"
        if self.preset not in PRESET_NAMES:
            raise BadOptions(f"--preset {self.preset} is none of {', '.join(PRESET_NAMES)}")
        self.set = dict(_pair(text) for text in self._list("set"))
        self.redact = [_pattern(text) for text in self._list("redact")]
        self.argv, self.flush = not self._flag("no-argv"), not self._flag("no-flush")
        self.success_codes = _codes(self.text("success-codes") or "0")
        self.retries = int(self._number("retries", 0, _MAX_RETRIES))
        self.retry_delay_s = self._number("retry-delay", 1, _MAX_SECONDS)
        self.timeout_s = self._number("timeout", 0, _MAX_SECONDS)

    def text(self, name: str) -> str:
        """Return the last value that was given for an option."""
        return self._values.get(name, [""])[-1]

    def texts(self, names: Sequence[str]) -> dict[str, str]:
        """Return those of some options that were given, with `_` for `-` in their names."""
        return {name.replace("-", "_"): text for name in names if (text := self.text(name))}

    def _list(self, name: str) -> list[str]:
        return [text for text in self._values.get(name, []) if text]

    def _flag(self, name: str) -> bool:
        text = self.text(name).lower()
        if text not in _TRUE + _FALSE:
            raise BadOptions(f"--{name} is {text}, not 1 or 0")
        return text in _TRUE

    def _number(self, name: str, default: float, most: float) -> float:
        text = self.text(name)
        if not text:
            return default
        if not re.fullmatch(r"[0-9]{1,10}(\.[0-9]{1,9})?", text) or float(text) > most:
            raise BadOptions(f"--{name} {text} is no number up to {most}")
        return float(text)


class BadOptions(Exception):
    """The options cannot be understood. `command` is what to run all the same, if that is clear."""

    def __init__(self, problem: str, command: Sequence[str] = ()) -> None:
        super().__init__(problem)
        self.command = list(command)


def parse_options(arguments: Sequence[str], environ: Mapping[str, str]) -> Options:
    """Return the options before `--` (or before the first word that is none), and the command behind them.

    An option beats its variable. An option with an empty value is not given: tools pass empty macros.
    Raises BadOptions.
    """
    values = {each.name: [environ[each.variable]] for each in OPTIONS if environ.get(each.variable)}
    command = list(arguments[list(arguments).index("--") + 1 :]) if "--" in arguments else []
    try:
        given, command = _read(arguments)
        return Options(values | given, command)
    except BadOptions as problem:
        raise BadOptions(str(problem), command) from None


def _read(arguments: Sequence[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Return the values by option, and the command. Raises BadOptions."""
    values: dict[str, list[str]] = {}
    rest = list(arguments)
    while rest and rest[0].startswith("--") and rest[0] != "--":
        name, equals, value = rest.pop(0)[2:].partition("=")
        if (option := _BY_NAME.get(name)) is None:
            raise BadOptions(f"--{name} is no option")
        if option.kind == FLAG:
            value = value if equals else "1"
        elif not equals:
            if not rest or rest[0] == "--":
                raise BadOptions(f"--{name} needs a value")
            value = rest.pop(0)
        if value:
            values.setdefault(name, []).append(value)
    if rest and rest[0] == "--":
        rest.pop(0)
    elif rest and rest[0].startswith("-"):
        raise BadOptions(f"{rest[0]} is no option")
    return values, rest


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise BadOptions(f"--set {text} is not KEY=VALUE")
    return key, value


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise BadOptions(f"--redact {text} is no regular expression: {error}") from None


def _codes(text: str) -> frozenset[int]:
    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch("[0-9]{1,3}", part) for part in parts):
        raise BadOptions(f"--success-codes {text} is not a list like 0,75")
    return frozenset(map(int, parts))
