"""The least that a server can do: answers made beforehand, or a row committed, under the same gunicorn and worker."""

import json
import threading
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from bench.commits import committer
from notifhist.server.settings import Server, options

INDEX = "index.json"


def write_answers(folder: Path, answers: Iterable[tuple[str, str, str, bytes]]) -> None:
    """Write answers for `answering`: of a URI and an Accept header, the content type and the body."""
    folder.mkdir(parents=True)
    index = []
    for number, (uri, accept, content_type, body) in enumerate(answers):
        (folder / str(number)).write_bytes(body)
        index.append([uri, accept, content_type])
    (folder / INDEX).write_text(json.dumps(index))


def answering(folder: Path) -> Callable[..., list[bytes]]:
    """Return a WSGI callable that answers what `write_answers` wrote."""
    answers = {}
    for number, (uri, accept, content_type) in enumerate(json.loads((folder / INDEX).read_text())):
        body = (folder / str(number)).read_bytes()
        headers = [("Content-Type", content_type), ("Content-Length", str(len(body)))]
        answers[uri, accept] = headers, [body]

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        headers, body = answers[environ["RAW_URI"], environ["HTTP_ACCEPT"]]
        start_response("200 OK", headers)
        return body

    return app


def committing(url: str) -> Callable[..., list[bytes]]:
    """Return a WSGI callable that reads what it is sent, and commits a row in the database at `url`."""
    own = threading.local()

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        body: bytes = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        if not hasattr(own, "commit"):
            own.connection = ExitStack()  # until the thread ends
            own.commit = own.connection.enter_context(committer(url))
        own.commit()
        start_response("201 Created", [("Content-Length", str(len(body)))])
        return [body]

    return app


@click.command()
@click.option("--answers", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--commits", help="The URL of the database that is to have a row more with each request.")
@click.option("--bind", default="127.0.0.1:0", show_default=True)
@click.option("--threads", default=8, show_default=True)
def main(answers: Path | None, commits: str | None, bind: str, threads: int) -> None:
    """Serve the answers that `python -m bench` has written, or commit a row with each request."""
    if (answers is None) == (commits is None):
        raise click.UsageError("Give either --answers or --commits.")

    def load() -> Callable[..., list[bytes]]:
        return committing(commits) if answers is None else answering(answers)  # type: ignore[arg-type]

    Server(load, options(1, threads) | {"bind": bind}).run()


if __name__ == "__main__":
    main()
