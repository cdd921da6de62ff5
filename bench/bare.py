"""The least that a server can do: answers made beforehand, or a row committed, as WSGI callables for gunicorn."""

import pickle
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from flask import Flask, Response, request

from bench.databases import Database

_ROW = random.Random(1).randbytes(5000)
"""About as much as is kept of an item of 2 kB, and nothing that could be compressed."""


def answering(path: str) -> WSGIApplication:
    """Return a bare function: it answers what is pickled in a file, bodies by URI and Accept header."""
    answers = {
        asked: ([("Content-Type", asked[1]), ("Content-Length", str(len(body)))], [body])
        for asked, body in pickle.loads(Path(path).read_bytes()).items()
    }

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        headers, body = answers[environ["RAW_URI"], environ["HTTP_ACCEPT"]]
        start_response("200 OK", headers)
        return body

    return app


def viewing(path: str) -> Flask:
    """Return a Flask application with one view, which answers the same as `answering`."""
    answers = pickle.loads(Path(path).read_bytes())
    app = Flask("viewing")

    @app.get("/<path:path>")
    def view(path: str) -> Response:
        asked = request.environ["RAW_URI"], request.headers["Accept"]
        return Response(answers[asked], content_type=asked[1])

    return app


def committing(url: str) -> WSGIApplication:
    """Return a server that reads what it is sent, and commits a row in the database at `url`, for one client."""
    database = Database(url)
    commit = committer(database, database.connect())

    def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        body: bytes = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        commit()
        start_response("201 Created", [("Content-Length", str(len(body)))])
        return [body]

    return app


def committer(database: Database, connection: Any) -> Callable[[], object]:
    """Return what commits a row of 5 kB on a connection to the database."""
    if not database.path:
        connection.execute("CREATE TABLE IF NOT EXISTS bare (n BIGSERIAL PRIMARY KEY, row BYTEA)")
        return lambda: connection.execute("INSERT INTO bare (row) VALUES (%s)", (_ROW,))
    for pragma in ("page_size = 32768", "journal_mode = wal", "synchronous = full"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE IF NOT EXISTS bare (n INTEGER PRIMARY KEY, row BLOB)")
    return lambda: connection.execute("INSERT INTO bare (row) VALUES (?)", (_ROW,))
