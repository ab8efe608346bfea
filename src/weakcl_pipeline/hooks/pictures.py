"""The hook that finds the pictures from the project, wherever the run was started."""

from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl

from weakcl_pipeline.images.decode import ImagesConfig
from weakcl_pipeline.images.roots import is_url


class PicturesHook:
    """Hands nodes `images.root` relative to the project, as Kedro does with the paths in the catalog; a URL stays.

    What lineage records stays as it was written, so that a project gives the same recipes wherever it lies.
    """

    def __init__(self) -> None:
        self._projects: dict[str | None, Path] = {}

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any]) -> None:
        """Note where the project of the run is."""
        self._projects[run_params["run_id"]] = Path(run_params["project_path"])

    @hook_impl
    def after_pipeline_run(self, run_params: dict[str, Any]) -> None:
        """Forget the run."""
        self._projects.pop(run_params["run_id"], None)

    @hook_impl
    def on_pipeline_error(self, run_params: dict[str, Any]) -> None:
        """Forget the run."""
        self._projects.pop(run_params["run_id"], None)

    @hook_impl
    def before_node_run(self, inputs: dict[str, Any], run_id: str | None) -> dict[str, ImagesConfig]:
        """Return what takes the place of the node's parameters of pictures, if it has them."""
        project = self._projects.get(run_id, Path())
        return {
            name: given.model_copy(update={"root": str(project / given.root)})
            for name, given in inputs.items()
            if isinstance(given, ImagesConfig) and given.root is not None and not is_url(given.root)
        }
