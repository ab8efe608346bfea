import io
import tarfile
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import fsspec
import pytest

from weakcl_pipeline.images.decode import ImagesConfig
from weakcl_pipeline.images.roots import open_root


@pytest.fixture
def opened():
    """Opens roots and closes them when the test ends."""
    roots = []

    def open_with(root, **options):
        roots.append(open_root(ImagesConfig(root=str(root), **{"retries": 0, "timeout": 5.0, **options})))
        return roots[-1]

    yield open_with
    for root in roots:
        root.close()


def write_folder(path, files):
    for name, content in files.items():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return path


def write_zip(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def write_tar(path, files, compression=""):
    with tarfile.open(path, f"w:{compression}") as archive:
        for name, content in files.items():
            add(archive, name, content)
    return path


def add(archive, name, content=b"", **attributes):
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for key, value in attributes.items():
        setattr(member, key, value)
    archive.addfile(member, io.BytesIO(content))


class Handler(SimpleHTTPRequestHandler):
    """Serves the server's folder; the server may have a `trouble` that answers instead, and says whether it did."""

    def __init__(self, request, address, server):
        super().__init__(request, address, server, directory=server.folder)

    def do_GET(self):
        self.server.requested.append(self.path)
        if not self.server.trouble(self):
            super().do_GET()

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(tmp_path):
    pytest.importorskip("aiohttp")  # what fsspec reads http:// with
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.folder, server.requested, server.trouble = folder, [], lambda handler: False
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def memory():
    """An empty file system in memory, as fsspec has it."""
    system = fsspec.filesystem("memory")
    system.rm("/", recursive=True)
    yield system
    system.rm("/", recursive=True)
