"""The options of `notifhist-run`, as a table."""

from typing import NamedTuple

from notifhist.run.settings import PREFIX

TEXT, NUMBER, CODES, FLAG, PAIRS, PATTERNS = "text", "number", "codes", "flag", "pairs", "patterns"


class Option(NamedTuple):
    """An option. Its variable is NOTIFHIST_ and its name; `kind` says what its value is."""

    name: str
    kind: str
    metavar: str
    help: str

    @property
    def variable(self) -> str:
        """Return the name of its variable in the environment."""
        return PREFIX + self.name.upper().replace("-", "_")


PRESET_NAMES = ("auto", "icinga2", "nagios", "monit", "none")

OPTIONS = tuple(
    Option(*row)
    for row in (
        ("entity", TEXT, "NAME", "what is monitored; the name of this host"),
        ("alarm", TEXT, "NAME", "what is wrong with it; the name of CMD"),
        ("check", TEXT, "NAME", "the check of the alarm; as the alarm"),
        ("state", TEXT, "WORD", "the state, in the tool's own word; UNKNOWN"),
        ("previous-state", TEXT, "WORD", "the state before"),
        ("status", TEXT, "TEXT", "the state in words"),
        ("plan", TEXT, "NAME", "the contact, or what else decides who is notified"),
        ("recipient", TEXT, "ADDRESS", "the address that is notified"),
        ("transaction", TEXT, "ID", "what ties several notifications together"),
        ("type", TEXT, "WORD", "the kind of notification; the name of CMD"),
        ("source", TEXT, "NAME", "the tool that calls"),
        ("set", PAIRS, "KEY=VALUE", "a member more in the record's source; may be repeated"),
        ("preset", TEXT, "NAME", f"{', '.join(PRESET_NAMES)}: whose variables the above come from"),
        ("redact", PATTERNS, "REGEX", "what is *** in arguments and output; may be repeated"),
        ("no-argv", FLAG, "", "keep no arguments"),
        ("success-codes", CODES, "N,N", "the exit codes that mean success; 0"),
        ("retries", NUMBER, "N", "how often CMD is run again if it fails; 0"),
        ("retry-delay", NUMBER, "S", "seconds before it is run again; 1"),
        ("timeout", NUMBER, "S", "seconds after which CMD gets TERM, and 5 s later KILL; the exit code is 124"),
        ("no-flush", FLAG, "", "send nothing, leave the record in the spool"),
        ("url", TEXT, "URL", "where `notifhist` serves: scheme, host and prefix, without /v1.0"),
        ("key-file", TEXT, "FILE", "the file with the key, of role monitoring:creator"),
        ("tenant", TEXT, "ID", "the key's tenant"),
        ("spool", TEXT, "FOLDER", "where records wait; /var/spool/notifhist"),
    )
)


def usage() -> str:
    """Return what `--help` prints."""
    lines = ["usage: notifhist-run [options] -- CMD ARGS...", ""]
    lines += [f"  --{each.name} {each.metavar}".ljust(34) + each.help for each in OPTIONS]
    end = (
        "Each option is also a variable, such as NOTIFHIST_ENTITY.",
        "NOTIFHIST_RUN_CONFIG names another file than /etc/notifhist/run.toml.",
        "See docs/feeds.md.",
    )
    return "\n".join([*lines, "", *end, ""])
