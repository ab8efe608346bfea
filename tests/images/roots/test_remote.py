import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.images.conftest import write_folder, write_tar, write_zip
from tests.images.test_decode import memory as resident
from tests.images.test_decode import reset_peak_memory
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.images.decode import DecodeError, ImagesConfig
from weakcl_pipeline.images.roots import open_root, remote


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(remote, "_FIRST_PAUSE", 0.0)


def answer(status):
    def trouble(handler):
        handler.send_error(status)
        return True

    return trouble


def hang_up(handler):
    handler.close_connection = True
    return True


def cut_off(handler):
    """Promise more than is sent."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"x" * 10)
    return True


def first(count, trouble):
    """Trouble for so many requests, then none."""
    remaining = [trouble] * count
    return lambda handler: bool(remaining) and remaining.pop()(handler)


class TestFolder:
    def test_one_request_a_picture(self, server, opened):
        write_folder(server.folder, {"a.png": b"a"})
        assert opened(f"{server.url}/").read("a.png") == b"a"
        assert server.requested == ["/a.png"]

    @pytest.mark.parametrize("trouble", [answer(500), answer(503), answer(429), hang_up, cut_off])
    def test_a_passing_trouble_is_sat_out(self, server, opened, trouble):
        write_folder(server.folder, {"a.png": b"a"})
        server.trouble = first(2, trouble)
        assert opened(server.url, retries=2).read("a.png") == b"a"
        assert len(server.requested) == 3

    @pytest.mark.parametrize(
        ("trouble", "words"),
        [
            (answer(403), "the server answered 403 Forbidden"),
            (answer(500), "the server answered 500 Internal Server Error"),
            (hang_up, "ServerDisconnectedError"),
            (cut_off, "ClientPayloadError"),
        ],
    )
    def test_a_lasting_trouble_is_named_with_the_url(self, server, opened, trouble, words):
        server.trouble = trouble
        with pytest.raises(DecodeError) as caught:
            opened(server.url).read("sub/a.png")
        assert caught.value.reason.startswith(f"{server.url}/sub/a.png cannot be read: {words}")

    def test_what_would_not_change_is_not_asked_again(self, server, opened):
        root = opened(server.url, retries=5)
        with pytest.raises(DecodeError, match=r"reference 'a\.png': no such file below http://127"):
            root.read("a.png")
        server.trouble = answer(403)
        with pytest.raises(DecodeError, match="403"):
            root.read("a.png")
        assert len(server.requested) == 2

    def test_a_silent_server(self, server, opened):
        server.trouble = lambda handler: time.sleep(1.0) or True
        started = time.monotonic()
        with pytest.raises(DecodeError, match=r"cannot be read: no answer within images\.timeout = 0\.2 seconds"):
            opened(server.url, timeout=0.2).read("a.png")
        assert time.monotonic() - started < 0.9

    def test_an_answer_that_trickles(self, server, opened):
        def trickle(handler):
            handler.send_response(200)
            handler.end_headers()
            for _ in range(30):
                handler.wfile.write(b"x")
                handler.wfile.flush()
                time.sleep(0.1)
            return True

        server.trouble = trickle
        started = time.monotonic()
        with pytest.raises(DecodeError, match="no answer within"):
            opened(server.url, timeout=0.5).read("a.png")
        assert time.monotonic() - started < 1.5

    @pytest.mark.parametrize("declares", [True, False])
    def test_an_answer_without_end_is_not_held_in_memory(self, server, opened, declares):
        def flood(handler):
            handler.send_response(200)
            if declares:
                handler.send_header("Content-Length", str(1 << 40))
            handler.end_headers()
            try:
                for _ in range(200):
                    handler.wfile.write(bytes(1 << 20))
            except OSError:
                handler.close_connection = True
            return True

        server.trouble = flood
        root = opened(server.url, max_bytes=1 << 20, timeout=10.0)
        reset_peak_memory()
        before = resident("VmHWM")
        with pytest.raises(DecodeError, match="too large"):
            root.read("a.png")
        assert resident("VmHWM") - before < 32 << 20

    def test_a_dead_server_stops_the_run(self, server, opened):
        server.trouble = answer(503)
        root = opened(server.url, retries=1)
        for number in range(15):
            with pytest.raises(DecodeError, match="503"):
                root.read(f"{number}")
        for _ in range(2):  # and whoever asks after that is told at once
            with pytest.raises(InputError) as caught:
                root.read("15")
        assert str(caught.value) == (
            f"images.root: {server.url} does not answer: 16 pictures in a row could not be read, each after 2 tries; "
            "the last: the server answered 503 Service Unavailable. Check the network and the server, and run again."
        )
        assert len(server.requested) == 32

    def test_nobody_listens(self, server, opened):
        server.shutdown()
        server.server_close()
        root = opened(server.url)
        with ThreadPoolExecutor(8) as pool:
            errors = [job.exception() for job in [pool.submit(root.read, f"{number}") for number in range(64)]]
        assert sum(isinstance(error, DecodeError) for error in errors) <= 16 + 8
        assert "cannot be read: Connection refused" in str(errors[0])
        assert all("does not answer" in str(error) for error in errors[-30:])

    def test_an_answer_in_between_shows_life(self, server, opened):
        write_folder(server.folder, {"a.png": b"a"})
        root = opened(server.url)
        for number in range(60):
            server.trouble = answer(503) if number % 12 else lambda handler: False
            if number % 12:
                with pytest.raises(DecodeError):
                    root.read("a.png")
            else:
                assert root.read("a.png") == b"a"

    def test_missing_pictures_do_not_make_a_server_dead(self, server, opened):
        root = opened(server.url)
        for number in range(40):
            with pytest.raises(DecodeError, match="no such file"):
                root.read(f"{number}")

    def test_no_password_in_messages(self, server, opened):
        server.trouble = answer(500)
        with pytest.raises(DecodeError) as caught:
            opened(server.url.replace("//", "//me:secret@")).read("a.png")
        assert caught.value.reason.startswith(f"{server.url}/a.png cannot be read")
        assert "secret" not in caught.value.reason

    def test_no_password_in_messages_of_an_archive(self, server, opened):
        write_zip(server.folder / "a.zip", {})
        with pytest.raises(DecodeError) as caught:
            opened(f"{server.url}/a.zip".replace("//", "//me:secret@")).read("a.png")
        assert caught.value.reason == f"reference 'a.png': no such file in {server.url}/a.zip (which has no files)"

    def test_paths_go_before_the_query(self, server, opened):
        """Which grants access to all of a folder with some kinds of stores."""
        write_folder(server.folder / "sub", {"a?.png": b"a"})
        root = opened(f"{server.url}/sub/?se=2030&sig=a%2Bsecret#top")
        assert root.read("a?.png") == b"a"
        assert server.requested == ["/sub/a%3F.png?se=2030&sig=a%2Bsecret"]
        server.trouble = answer(403)
        with pytest.raises(DecodeError) as caught:
            root.read("a?.png")
        assert caught.value.reason == f"{server.url}/sub/a?.png cannot be read: the server answered 403 Forbidden"

    def test_a_question_mark_in_a_name_elsewhere_than_on_the_web(self, memory, opened):
        memory.pipe("/what?/a.png", b"a")
        assert opened("memory://what?").read("a.png") == b"a"


@pytest.mark.parametrize("told", [ValueError("http://me:secret@host/a"), ValueError("http://host/a?sig=secret")])
def test_no_password_in_the_words_of_a_file_system(told):
    assert remote.describe(told) == "ValueError: http://host/a"


class TestArchive:
    @pytest.mark.parametrize("trouble", [answer(503), hang_up, cut_off])
    def test_a_passing_trouble_is_sat_out(self, server, opened, trouble):
        write_zip(server.folder / "a.zip", {"a": b"content"})
        server.trouble = first(2, trouble)
        assert opened(f"{server.url}/a.zip", retries=2).read("a") == b"content"

    def test_a_lasting_trouble_names_the_url(self, server, opened):
        server.trouble = answer(503)
        with pytest.raises(InputError, match=rf"root: {server.url}/a\.tar cannot be read, after 3 tries: .*503"):
            opened(f"{server.url}/a.tar", retries=2)

    def test_missing(self, server, opened):
        with pytest.raises(InputError, match=rf"there is no {server.url}/a\.zip"):
            opened(f"{server.url}/a.zip", retries=2)
        assert len(server.requested) == 1

    def test_the_copy_is_bounded(self, server, opened):
        write_tar(server.folder / "a.tar", {"a": bytes(1 << 20)})
        with pytest.raises(InputError, match=r"a\.tar needs .* more than images\.max_archive_bytes = 1,000,000 bytes"):
            opened(f"{server.url}/a.tar", max_archive_bytes=1_000_000)
        assert len(server.requested) == 1

    def test_it_is_fetched_once(self, server, opened):
        write_tar(server.folder / "a.tgz", {"a": b"a", "b": b"b"}, "gz")
        root = opened(f"{server.url}/a.tgz")
        assert [root.read(name) for name in "abba"] == [b"a", b"b", b"b", b"a"]
        assert len(server.requested) == 1

    @pytest.mark.parametrize("query", ["?X-Amz-Signature=secret", "?v=1#top", "#top", "?sig=a/secret.txt"])
    def test_a_query_hides_no_archive(self, server, opened, query):
        write_zip(server.folder / "a.zip", {"a": b"a", "b": b"b"})
        root = opened(f"{server.url}/a.zip{query}")
        assert [root.read(name) for name in "ab"] == [b"a", b"b"]
        assert [path.partition("?")[0] for path in server.requested] == ["/a.zip"]
        with pytest.raises(DecodeError) as caught:
            root.read("c")
        assert "secret" not in caught.value.reason

    def test_a_query_may_name_the_archive(self, server, opened):
        write_zip(server.folder / "download", {"a": b"a"})
        assert opened(f"{server.url}/download?file=a.zip").read("a") == b"a"

    def test_no_signature_in_messages(self, server, opened):
        for root in (
            f"{server.url}/a.zip?sig=secret",
            "gopher://a.zip?sig=secret",
            "zip://a::http://h/b.zip?sig=secret",
        ):
            with pytest.raises(InputError) as caught:
                opened(root)
            assert "secret" not in str(caught.value)

    @pytest.mark.parametrize("kind", ["zip", "tar", "tgz"])
    def test_its_state_is_that_of_its_bytes(self, memory, tmp_path, kind):
        """Not that of the copy, which is new in every run: what is packed already would be packed again."""

        def state(content):
            path = tmp_path / f"a.{kind}"
            write = {"zip": write_zip, "tar": write_tar}.get(kind, lambda *given: write_tar(*given, "gz"))
            memory.pipe(f"/a.{kind}", written.setdefault(content, write(path, {"a": content}).read_bytes()))
            with open_root(ImagesConfig(root=f"memory://a.{kind}")) as root:
                assert root.read("a") == content
                return root.state("a")

        written = {}
        assert state(b"a") == state(b"a") != state(b"b")

    def test_the_state_is_of_the_bytes_of_the_last_try(self, server, opened):
        write_zip(server.folder / "a.zip", {"a": b"content"})
        states = []
        for trouble in (lambda handler: False, first(1, cut_off)):
            server.trouble = trouble
            states.append(opened(f"{server.url}/a.zip", retries=2).state("a"))
        assert states[0] == states[1]
