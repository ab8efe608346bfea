from weakcl_pipeline.images.roots import is_url
from weakcl_pipeline.sources.remote import beside


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
