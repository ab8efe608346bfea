"""A page that Kedro-Viz can show."""

from kedro_datasets._typing import HTMLPreview

from weakcl_pipeline.datasets.file import FileDataset


class HtmlDataset(FileDataset[str, str]):
    """One self-contained HTML page, UTF-8.

    Args:
        filepath: The file.
        metadata: For plug-ins such as Kedro-Viz.
    """

    def load(self) -> str:
        """Return the page."""
        return self._filepath.read_text(encoding="utf-8")

    def save(self, data: str) -> None:
        """Write the page."""
        self._filepath.write_text(data, encoding="utf-8")

    def preview(self) -> HTMLPreview:
        """Return the page for Kedro-Viz."""
        return HTMLPreview(self.load())
