"""Where commands that send payloads and records send them: options, else the environment, else the file."""

import os

import click

from notifhist.run.sending import CannotSend, Sender
from notifhist.run.settings import BadSettings, Settings, load_settings


def sending_settings(**options: str | None) -> Settings:
    """Return the settings; `options` are named as they are, None if not given. Raises ClickException."""
    try:
        return load_settings({name: value for name, value in options.items() if value}, os.environ)
    except BadSettings as error:
        raise click.ClickException(str(error)) from error


def sender_of(settings: Settings) -> Sender:
    """Return what sends to the service. Raises ClickException."""
    if not settings.can_send:
        raise click.ClickException("Give --url and --key-file, or set NOTIFHIST_URL and NOTIFHIST_KEY_FILE.")
    try:
        return Sender(settings.url, settings.key_file)
    except CannotSend as error:
        raise click.ClickException(str(error)) from error
