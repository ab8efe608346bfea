"""URLs."""

import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from tests.broken.case import Case, ingest, nothing, picture, rows, table

ANSWERS = {"/pictures/good.png": (200, picture()), "/pictures/private.png": (403, b""), "/private.csv": (403, b"")}
"""Path -> status and content; everything else is 404."""


class Server(BaseHTTPRequestHandler):
    def do_GET(self):
        status, content = ANSWERS.get(self.path, (404, b""))
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


def served(**options):
    """Return what reads a table, with a server under the URLs that begin with `http://server`."""

    def run(place):
        with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
            Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            try:
                return ingest(**at(options, f"http://127.0.0.1:{server.server_address[1]}"))(place)
            finally:
                server.shutdown()

    return run


def down(**options):
    """Return what reads a table, with nobody who listens under `http://server`."""

    def run(place):
        with socket.socket() as held:  # so that nobody else takes the port
            held.bind(("127.0.0.1", 0))
            return ingest(**at(options, f"http://127.0.0.1:{held.getsockname()[1]}"))(place)

    return run


def at(options, url):
    root = options.get("images", {}).get("root")
    images = {} if root is None else {"images": {**options["images"], "root": root.replace("http://server", url)}}
    return {**options, "table": options.get("table", "table.parquet").replace("http://server", url), **images}


def photo(name="bad.png", count=6):
    return table(rows(count, file=["good.png", name, *["good.png"] * (count - 2)]))


PICTURES = {"images": {"root": "http://server/pictures"}}

CASES = [
    Case("The table's URL leads nowhere", nothing, served(table="http://server/none.csv"), ("http://", "none.csv")),
    Case(
        "The table may not be read",
        nothing,
        served(table="http://server/private.csv"),
        ("http://", "private.csv", "403"),
    ),
    Case("The table's server is down", nothing, down(table="http://server/table.csv"), ("http://", "table.csv")),
    Case(
        "The URL of the table is of a kind that nobody knows",
        nothing,
        ingest("htp://example.org/table.csv"),
        ("htp://",),
    ),
    Case(
        "The URL of the pictures is of a kind that nobody knows",
        photo(),
        ingest("table.parquet", images={"root": "htp://example.org/pictures"}),
        ("images.root", "htp://"),
    ),
    Case("A picture is not on the server", photo(), served(**PICTURES), ("p1", "'bad.png'")),
    Case("A picture may not be read", photo("private.png"), served(**PICTURES), ("p1", "private.png", "403")),
    Case("The server of the pictures is down", photo(count=20), down(**PICTURES), ("images.root", "http://")),
    Case(
        "The archive is not on the server",
        photo(),
        served(images={"root": "http://server/none.zip"}),
        ("images.root", "none.zip"),
    ),
    Case(
        "The archive's server is down",
        photo(),
        down(images={"root": "http://server/pictures.zip"}),
        ("images.root", "pictures.zip"),
    ),
    Case(
        "The folder is not on the server",
        photo(),
        ingest("table.parquet", images={"root": "memory://none/pictures"}),
        ("images.root", "memory://none/pictures"),
    ),
    Case(
        "The URL is a chain",
        photo(),
        ingest("table.parquet", images={"root": "zip://pictures::http://example.org/pictures.zip"}),
        ("images.root", "zip://"),
    ),
]
