"""What tools tell their notification commands: a member of the notification, and the variable that has it."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from notifhist.run.options import Options

Read = Callable[[str], str]
"""Returns the value of a variable, empty if it is not set. `{}` in the name is `SERVICE` or `HOST`."""


def _icinga2_transaction(read: Read) -> str:
    place = "!".join(filter(None, (read("HOSTNAME"), read("SERVICENAME"))))
    return f"icinga2/{place}/{read('NOTIFICATIONTYPE')}"


def _nagios_transaction(read: Read) -> str:
    """Return the problem's number; a recovery has it as the last one."""
    number = read("NAGIOS_{}PROBLEMID")
    number = number if number.strip("0") else read("NAGIOS_LAST{}PROBLEMID")
    return f"nagios/{number}/{read('NAGIOS_NOTIFICATIONTYPE')}" if number.strip("0") else ""


class Preset(NamedTuple):
    """A tool. `{}` in the name of a variable is `SERVICE` if `service` is set, and else `HOST`."""

    recognised_by: tuple[str, ...]
    service: str
    members: Mapping[str, str]
    details: Mapping[str, str]
    about_hosts: str = ""
    """The alarm of a notification about a host as a whole."""
    transaction: Callable[[Read], str] | None = None


NONE = Preset((), "", {}, {})
ICINGA2 = Preset(
    recognised_by=("NOTIFICATIONTYPE", "HOSTNAME"),  # HOSTNAME alone is in every container
    service="SERVICENAME",
    members={
        "entity": "HOSTNAME",
        "alarm": "SERVICENAME",
        "state": "{}STATE",
        "previous_state": "{}LASTSTATE",
        "status": "{}OUTPUT",
        "plan": "USERNAME",
        "recipient": "USEREMAIL",
    },
    details={"notification": "NOTIFICATIONTYPE", "author": "NOTIFICATIONAUTHORNAME", "comment": "NOTIFICATIONCOMMENT"},
    about_hosts="host",
    transaction=_icinga2_transaction,
)
NAGIOS = Preset(
    recognised_by=("NAGIOS_NOTIFICATIONTYPE",),
    service="NAGIOS_SERVICEDESC",
    members={
        "entity": "NAGIOS_HOSTNAME",
        "alarm": "NAGIOS_SERVICEDESC",
        "state": "NAGIOS_{}STATE",
        "previous_state": "NAGIOS_LAST{}STATE",
        "status": "NAGIOS_{}OUTPUT",
        "plan": "NAGIOS_CONTACTNAME",
        "recipient": "NAGIOS_CONTACTEMAIL",
    },
    details={
        "notification": "NAGIOS_NOTIFICATIONTYPE",
        "number": "NAGIOS_{}NOTIFICATIONNUMBER",
        "escalated": "NAGIOS_NOTIFICATIONISESCALATED",
    },
    about_hosts="host",
    transaction=_nagios_transaction,
)
MONIT = Preset(
    recognised_by=("MONIT_EVENT",),
    service="MONIT_SERVICE",
    members={"entity": "MONIT_HOST", "alarm": "MONIT_SERVICE", "state": "MONIT_EVENT", "status": "MONIT_DESCRIPTION"},
    details={"program_status": "MONIT_PROGRAM_STATUS"},
)
PRESETS = {"icinga2": ICINGA2, "nagios": NAGIOS, "monit": MONIT, "none": NONE}

_ICINGA2_SCRIPTS = {"mail-host-notification.sh": "HOST", "mail-service-notification.sh": "SERVICE"}
_ICINGA2_ARGUMENTS = {
    "-l": "HOSTNAME",
    "-e": "SERVICENAME",
    "-s": "{}STATE",
    "-o": "{}OUTPUT",
    "-t": "NOTIFICATIONTYPE",
    "-r": "USEREMAIL",
    "-b": "NOTIFICATIONAUTHORNAME",
    "-c": "NOTIFICATIONCOMMENT",
}
"""The arguments of the scripts that Icinga 2 comes with, by the variables that say the same."""

_TEXTS = ("entity", "alarm", "check", "state", "previous-state", "status", "plan", "recipient", "transaction", "type")


class Notification(NamedTuple):
    """What is known of a notification before its command has run. Empty: not known."""

    entity: str
    alarm: str
    check: str
    state: str
    previous_state: str
    status: str
    plan: str
    recipient: str
    transaction: str
    type: str
    details: dict[str, str]
    preset: str
    """The preset that told it."""


def describe(options: Options, environ: Mapping[str, str], host: str) -> Notification:
    """Return the notification of a command: what the options say, else what the preset says, else the defaults."""
    program = options.command[0].rpartition("/")[2]
    name, variables = _choose(options.preset, environ, options.command)
    members, details = _tell(PRESETS[name], variables)
    known = {"entity": host, "alarm": program, "state": "UNKNOWN", "type": program} | members | options.texts(_TEXTS)
    unknown = dict.fromkeys(("previous_state", "status", "plan", "recipient", "transaction"), "")
    return Notification(**({"check": known["alarm"]} | unknown | known), details=details, preset=name)


def _choose(preset: str, environ: Mapping[str, str], command: Sequence[str]) -> tuple[str, Mapping[str, str]]:
    """Return the name of the preset that applies, and the variables that it reads."""
    names = [each for each in PRESETS if each != "none"] if preset == "auto" else [preset]
    for name in names:
        if all(environ.get(variable) for variable in PRESETS[name].recognised_by):
            return name, environ
    if "icinga2" in names and (variables := _from_arguments(command)):
        return "icinga2", variables
    return ("none" if preset == "auto" else preset), {}


def _from_arguments(command: Sequence[str]) -> dict[str, str]:
    """Return what the arguments of a script of Icinga 2 say, as the variables that say the same; empty for others."""
    kind = next((kind for script, kind in _ICINGA2_SCRIPTS.items() if command[0].endswith(script)), "")
    given = dict(zip(command[1::2], command[2::2], strict=False))
    return {_ICINGA2_ARGUMENTS[key].format(kind): given[key] for key in given if kind and key in _ICINGA2_ARGUMENTS}


def _tell(preset: Preset, variables: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return what a preset's variables say: members of the notification, and details; none of them is empty."""
    kind = "SERVICE" if variables.get(preset.service) else "HOST"

    def read(variable: str) -> str:
        return variables.get(variable.format(kind), "").strip()

    members = {name: text for name, variable in preset.members.items() if (text := read(variable))}
    details = {name: text for name, variable in preset.details.items() if (text := read(variable))}
    if variables and preset.about_hosts:
        members.setdefault("alarm", preset.about_hosts)
    if variables and preset.transaction and (transaction := preset.transaction(read)):
        members["transaction"] = transaction
    return members, details
