import time
from functools import partial

import pytest

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.images.roots import is_url
from weakcl_pipeline.sources import remote
from weakcl_pipeline.sources.remote import beside, local


def test_paths_are_relative_to_the_folder_of_the_main_table():
    assert beside("b.csv", "data/a.csv") == "data/b.csv"
    assert beside("../b.csv", "data/raw/a.csv") == "data/raw/../b.csv"
    assert beside("/x/b.csv", "data/a.csv") == "/x/b.csv"
    assert beside("b.csv", "s3://bucket/raw/a.csv") == "s3://bucket/raw/b.csv"
    assert beside("b.csv", "http://host/raw/a.csv?token=1") == "http://host/raw/b.csv"
    assert beside("http://host/b.csv", "data/a.csv") == "http://host/b.csv"


def test_urls_are_told_from_paths():
    assert is_url("s3://bucket/a.csv")
    assert not is_url("C:/data/a.csv")


LINES = [b"a,b\n", *[b"1,2\n"] * 15]


class TestServers:
    """Time-outs are short, and so is the one that a client has for a whole file unless told otherwise."""

    @pytest.fixture(autouse=True)
    def short(self, server, monkeypatch):
        aiohttp = pytest.importorskip("aiohttp")
        monkeypatch.setattr(remote, "_TIMEOUT", 1.0)
        monkeypatch.setattr("weakcl_pipeline.images.roots.remote._FIRST_PAUSE", 0.0)
        monkeypatch.setattr("aiohttp.client.DEFAULT_TIMEOUT", aiohttp.ClientTimeout(total=1.0))

    def send(self, handler, pauses):
        handler.send_response(200)
        handler.end_headers()
        for line, pause in zip(LINES, pauses, strict=False):
            handler.wfile.write(line)
            time.sleep(pause)
        return True

    def test_a_table_may_take_its_time(self, server):
        server.trouble = partial(self.send, pauses=[0.1] * 16)
        assert local(f"{server.url}/slow.csv").read_bytes() == b"".join(LINES)
        assert len(server.requested) == 1

    def test_a_server_that_stalls_is_given_up(self, server, monkeypatch):
        monkeypatch.setattr(remote, "_RETRIES", 1)
        server.trouble = partial(self.send, pauses=[3.0])
        message = r"stalls\.csv cannot be read: no answer in time\. Correct the catalog, or see to the server\.$"
        with pytest.raises(InputError, match=message):
            local(f"{server.url}/stalls.csv")
        assert len(server.requested) == 2

    def test_a_passing_trouble_is_sat_out(self, server):
        (server.folder / "busy.csv").write_bytes(b"a,b\n")
        server.trouble = lambda handler: len(server.requested) < 3 and (handler.send_error(503) or True)
        assert local(f"{server.url}/busy.csv").read_bytes() == b"a,b\n"
