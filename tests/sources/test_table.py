import http.server
import threading
from functools import partial

import fsspec
import polars as pl
import pytest

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.sources import IngestionConfig, Table, read_samples

PHOTOS = "id,file\np1,1.png\np2,2.png\np3,3.png\n"
TAGS = "photo;tag\np3;red\np1;cat\np3;old\np9;dog\n"
PLACES = "id\tplace\n p1\tBerlin\np2\tRome\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "photos.csv").write_text(PHOTOS)
    (tmp_path / "tags.csv").write_text(TAGS)
    (tmp_path / "places.tsv").write_text(PLACES)
    return tmp_path


def table(folder, *join, **options):
    return Table(path=(folder / "photos.csv").as_posix(), join=join, **options)


def refused(folder, *join):
    with pytest.raises(InputError) as error:
        table(folder, *join).scan()
    return str(error.value)


def test_tables_are_joined_in_the_order_of_the_samples(folder):
    joined = table(
        folder,
        {"path": "places.tsv", "by": "id"},
        {"path": "tags.csv", "by": "id", "key": "photo", "collect": ["tag"]},
    ).scan()
    assert joined.collect().to_dicts() == [
        {"id": "p1", "file": "1.png", "place": "Berlin", "tag": ["cat"]},
        {"id": "p2", "file": "2.png", "place": "Rome", "tag": None},
        {"id": "p3", "file": "3.png", "place": None, "tag": ["red", "old"]},
    ]


def test_missing_values_are_no_tags(folder):
    (folder / "tags.csv").write_text("id;tag\np3;red\np1;cat\np3; NA \np3;\np3;old\np2;\np2;?\n")
    raw = table(folder, {"path": "tags.csv", "by": "id", "collect": ["tag"]}).scan()
    roles = IngestionConfig(image_column="file", split={"train": 1, "val": 0, "test": 0}, attributes={"tag": {}})
    samples, schema = read_samples(raw, roles)
    assert samples.collect()["tag"].to_list() == [["cat"], None, ["red", "old"]]
    assert schema["tag"]["missing"] == 1
    samples, _ = read_samples(raw, roles.model_copy(update={"missing": ("red",)}))
    assert samples.collect()["tag"].to_list() == [["cat"], ["?"], ["NA", "old"]]


def test_null_is_a_missing_value_of_any_type(folder):
    ids, numbers = ["p1", "p1", "p2", "p3"], [1, None, None, 3]
    pl.DataFrame({"id": ids, "n": numbers, "v": [n and [n] for n in numbers]}).write_parquet(folder / "n.parquet")
    joined = table(folder, {"path": "n.parquet", "by": "id", "collect": ["n", "v"]}).scan().collect()
    assert joined["n"].to_list() == [[1, None], None, [3]]
    assert joined["v"].to_list() == [[[1], None], None, [[3]]]


def test_a_join_reads_other_formats_and_compares_keys_as_texts(folder):
    (folder / "photos.csv").write_text("id,file\n1,1.png\n2,2.png\n")
    pl.DataFrame({"id": [2, 1], "size": [20, 10], "more": [0, 0]}).write_parquet(folder / "sizes.parquet")
    joined = table(folder, {"path": "sizes.parquet", "by": "id", "take": ["size"]}).scan().collect()
    assert joined.rows() == [("1", "1.png", 10), ("2", "2.png", 20)]


def test_keys_are_compared_as_words(folder):
    (folder / "photos.csv").write_text("id,file\n0,1.png\n1,2.png\n2 ,3.png\n")
    (folder / "places.tsv").write_text("id\tplace\n1.0\tRome\n0.0\tBerlin\n2.0\tOslo\n")
    joined = table(folder, {"path": "places.tsv", "by": "id"}).scan().collect()
    assert joined["place"].to_list() == ["Berlin", "Rome", "Oslo"]


def test_keys_of_no_sample_are_told(folder, caplog):
    table(folder, {"path": "tags.csv", "by": "id", "key": "photo", "collect": ["tag"]}).scan()
    assert "tags.csv: 1 keys in column 'photo' are of no sample: 'p9'" in caplog.text


def test_repeated_keys_are_refused_unless_collected(folder):
    message = refused(folder, {"path": "tags.csv", "by": "id", "key": "photo"})
    assert "tags.csv: column 'photo' repeats 1 keys: 'p3'" in message
    assert "`collect`" in message


def test_tables_without_a_common_key_are_refused(folder):
    (folder / "places.tsv").write_text("id\tplace\n1\tRome\n")
    message = refused(folder, {"path": "places.tsv", "by": "id"})
    assert "none of the 1 keys in column 'id' is in column 'id'" in message
    assert "keys here: '1'; there: 'p" in message


@pytest.mark.parametrize(
    ("side", "message"),
    [
        ({"path": "tags.csv", "by": "id"}, "tags.csv: there is no column 'id', which `join` names. It has: photo, tag"),
        ({"path": "tags.csv", "by": "ids", "key": "photo"}, "raw_samples: there is no column 'ids'"),
        ({"path": "tags.csv", "by": "id", "key": "photo", "collect": ["tags"]}, "there is no column 'tags'"),
        ({"path": "photos.csv", "by": "id"}, "column 'file' is in the table that it is joined to, too"),
        ({"path": "none.csv", "by": "id"}, "none.csv: there is no such file"),
    ],
)
def test_a_join_that_cannot_be_is_refused(folder, side, message):
    assert message in refused(folder, side)


@pytest.mark.parametrize("name", ["*", "^i.*$"])
def test_a_join_of_a_column_of_which_the_name_is_a_pattern_is_refused(folder, name):
    pl.DataFrame({"id": ["p1"], "owner": ["u"], name: ["x"]}).write_csv(folder / "owners.csv")
    message = f"owners.csv: a column cannot be called '{name}', which is taken for a pattern of names. Rename it in the"
    assert message in refused(folder, {"path": "owners.csv", "by": "id"})
    assert message in refused(folder, {"path": "owners.csv", "by": "id", "key": name, "take": ["owner"]})
    joined = table(folder, {"path": "owners.csv", "by": "id", "take": ["owner"]}).scan().collect()
    assert joined["owner"].to_list() == ["u", None, None]


def test_pictures_of_hugging_face_tables_are_their_bytes(tmp_path):
    cells = [{"bytes": b"one", "path": "1.png"}, {"bytes": None, "path": None}, None]
    place = tmp_path / "photos.parquet"
    pl.DataFrame({"id": [1, 2, 3], "image": cells, "more": [{"bytes": b"x"}] * 3}).write_parquet(place)
    scanned = Table(path=place.as_posix()).scan().collect()
    assert scanned["image"].to_list() == [b"one", None, None]
    assert scanned["more"].to_list() == [{"bytes": b"x"}] * 3


def test_take_and_collect_exclude_each_other(folder):
    with pytest.raises(ValueError, match="give one of them"):
        table(folder, {"path": "tags.csv", "by": "id", "take": ["tag"], "collect": ["tag"]})


def test_the_files_of_all_tables_belong_to_the_data(folder):
    files = table(folder, {"path": "tags.csv", "by": "id"}).files()
    assert files == {"table/": folder / "photos.csv", "join 0/": folder / "tags.csv"}


def test_a_declared_format_wins_and_an_unknown_suffix_is_refused(tmp_path):
    (tmp_path / "t.dat").write_text(PHOTOS)
    path = (tmp_path / "t.dat").as_posix()
    assert Table(path=path, format="csv").scan().collect().height == 3
    with pytest.raises(InputError, match=r"t.dat: the name does not tell the format .*Declare `format:`"):
        Table(path=path).scan()


def test_tables_behind_a_url_are_fetched_once_with_what_is_joined(folder, caplog):
    caplog.set_level("INFO")
    for name, content in (("photos.csv", PHOTOS), ("tags.csv", TAGS)):
        with fsspec.open(f"memory://raw/{name}", "wt") as file:
            file.write(content)
    remote = Table(
        path="memory://raw/photos.csv", join=[{"path": "tags.csv", "by": "id", "key": "photo", "collect": ["tag"]}]
    )
    assert remote.scan().collect()["tag"].to_list() == [["cat"], None, ["red", "old"]]
    assert [file.read_text() for file in remote.files().values()] == [PHOTOS, TAGS]
    assert caplog.text.count("memory://raw/photos.csv: fetched") == 1


def test_tables_behind_http(folder):
    pytest.importorskip("aiohttp")
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/photos.csv"
        assert Table(path=url).scan().collect().height == 3
        with pytest.raises(InputError, match=r"none.csv cannot be read: there is no such file"):
            Table(path=url.replace("photos", "none")).scan()
        server.shutdown()


def test_a_url_that_cannot_be_read_is_named():
    with pytest.raises(InputError, match=r"memory://raw/none.csv cannot be read: there is no such file"):
        Table(path="memory://raw/none.csv").scan()
    with pytest.raises(
        InputError, match=r"foo://x/none.csv cannot be read: fsspec knows no URLs that begin with foo://"
    ):
        Table(path="foo://x/none.csv").files()


@pytest.mark.parametrize("name", ["t.jsonl", "t.arrow", "t.parquet"])
def test_a_column_without_a_name_is_called_by_its_place(tmp_path, name):
    frame = pl.DataFrame({"id": ["a", "b"], "": [1, 2]})
    write = {"t.jsonl": frame.write_ndjson, "t.arrow": frame.write_ipc, "t.parquet": frame.write_parquet}[name]
    write(tmp_path / name)
    table = Table(path=(tmp_path / name).as_posix()).scan()
    assert table.collect().rows(named=True) == [{"id": "a", "column_1": 1}, {"id": "b", "column_1": 2}]
    assert table.select("column_1").collect().to_series().to_list() == [1, 2]
    frame.with_columns(column_2="").select("id", "column_2", "").write_ndjson(tmp_path / "t.jsonl")
    with pytest.raises(InputError, match="a column has no name, and 'column_2' is another one's"):
        Table(path=(tmp_path / "t.jsonl").as_posix()).scan()
