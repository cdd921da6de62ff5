"""The proxies of the examples in deploy/: each is that file, but for addresses and certificates."""

import os
import ssl
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.system.service import PATIENCE_S, ROOT, Service, free_port, wait_until


@dataclass(frozen=True)
class Certificate:
    """A certificate of 127.0.0.1, its key, and both in one file."""

    certificate: Path
    key: Path
    both: Path

    def context(self) -> ssl.SSLContext:
        """Return what a client needs that trusts it alone."""
        return ssl.create_default_context(cafile=str(self.certificate))


def make_certificate(folder: Path) -> Certificate:
    made = Certificate(folder / "cert.pem", folder / "key.pem", folder / "both.pem")
    command = "openssl req -x509 -nodes -days 2 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -subj /CN=127.0.0.1"
    names = ("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", made.key, "-out", made.certificate)
    subprocess.run([*command.split(), *names], check=True, capture_output=True)
    made.both.write_text(made.certificate.read_text() + made.key.read_text())
    return made


@dataclass(frozen=True)
class Kind:
    """A kind of proxy: its example, what a test changes there, and how it is started in a folder."""

    example: str
    changes: Callable[[int, Certificate], Mapping[str, str]]
    command: Callable[[Path], tuple[str, ...]]
    preface: str = ""
    hangs_up: bool = False
    """Whether a client that still sends a refused body may see the connection end, and no answer."""


NGINX = """daemon off;
pid {folder}/pid;
error_log stderr;
user root;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/example;
}}
"""


def _start_nginx(folder: Path) -> tuple[str, ...]:
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder))
    return ("nginx", "-e", "stderr", "-p", str(folder), "-c", "nginx.conf")


KINDS = {
    "nginx": Kind(
        "nginx/notifhist.conf",
        lambda port, pem: {
            "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            "/etc/ssl/certs/history.example.com.pem": str(pem.certificate),
            "/etc/ssl/private/history.example.com.key": str(pem.key),
        },
        _start_nginx,
    ),
    "haproxy": Kind(
        "haproxy/haproxy.cfg",
        lambda port, pem: {
            "bind :443 ssl": f"bind 127.0.0.1:{port} ssl",
            "/etc/haproxy/history.example.com.pem": str(pem.both),
            "\nbackend notifhist\n": "\nbackend notifhist\n    default-server inter 50ms\n",  # if it checks
        },
        lambda folder: ("haproxy", "-db", "-f", str(folder / "example")),
    ),
    "caddy": Kind(
        "caddy/Caddyfile",
        lambda port, pem: {
            "history.example.com {": f"https://127.0.0.1:{port} {{\n\tbind 127.0.0.1\n\ttls {pem.certificate} {pem.key}"
        },
        lambda folder: ("caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "example")),
        "{\n\tadmin off\n\tauto_https off\n}\n",
        hangs_up=True,
    ),
}


class Proxy:
    """A proxy in front of a service."""

    def __init__(self, kind: Kind, service: Service, certificate: Certificate, folder: Path) -> None:
        self.kind = kind
        port = free_port()
        self.url = f"https://127.0.0.1:{port}"
        self._certificate = certificate
        text = (ROOT / "deploy" / kind.example).read_text()
        for old, new in {
            "127.0.0.1:8000": service.url.removeprefix("http://"),
            **kind.changes(port, certificate),
        }.items():
            assert old in text
            text = text.replace(old, new)
        (folder / "example").write_text(kind.preface + text)
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                kind.command(folder),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": os.environ["PATH"], "HOME": str(folder)},
            )
        wait_until(self._is_up)

    def _is_up(self) -> bool:
        assert self.process.poll() is None, self._log.read_text()
        with suppress(requests.ConnectionError), self.session() as session:
            return session.get(f"{self.url}/healthz", timeout=PATIENCE_S).status_code == 200
        return False

    def session(self, key: str | None = None) -> requests.Session:
        """Return a session that trusts the proxy, and sends a key; it packs nothing and asks for nothing packed."""
        session = requests.Session()
        session.trust_env = False
        session.verify = str(self._certificate.certificate)
        session.headers["Accept-Encoding"] = "identity"
        if key is not None:
            session.headers["X-Auth-Token"] = key
        return session

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(PATIENCE_S)
        finally:
            self.process.kill()
