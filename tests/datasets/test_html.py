from weakcl_pipeline.datasets import HtmlDataset


def test_page_comes_back_and_is_its_own_preview(tmp_path):
    dataset = HtmlDataset(filepath=(tmp_path / "report.html").as_posix())
    assert not dataset.exists()
    dataset.save("<p>😀</p>")
    assert dataset.exists()
    assert dataset.load() == dataset.preview() == "<p>😀</p>"
    assert (tmp_path / "report.html").read_bytes() == "<p>😀</p>".encode()
