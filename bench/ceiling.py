"""The least that a server can do: answers made beforehand, under the same gunicorn and the same worker."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from notifhist.serving import Server, options

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


@click.command()
@click.option("--answers", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--bind", default="127.0.0.1:0", show_default=True)
@click.option("--threads", default=8, show_default=True)
def main(answers: Path, bind: str, threads: int) -> None:
    """Serve the answers that `python -m bench` has written."""
    Server(lambda: answering(answers), options(1, threads) | {"bind": bind}).run()


if __name__ == "__main__":
    main()
