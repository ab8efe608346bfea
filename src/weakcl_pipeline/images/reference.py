"""Path references of a sample table: they are read below a declared root and nowhere else."""

from pathlib import Path

from weakcl_pipeline.errors import InputError
from weakcl_pipeline.images.decode import DecodeError


def image_root(root: str | None) -> Path:
    """Return the declared image root, all links resolved.

    Args:
        root: `images.root` of the parameters.

    Raises:
        InputError: If it is not set, or is not a directory.
    """
    if root is None:
        raise InputError(
            "images.root is not set, but the sample table refers to pictures by path. "
            "Set images.root to the directory that the paths are relative to."
        )
    path = Path(root)
    if not path.is_dir():
        raise InputError(f"images.root: {root!r} is not a directory. Set it to the directory of the pictures.")
    return path.resolve()


def resolve(reference: str | Path, root: Path) -> Path:
    """Return the file that a reference names, if it lies below the root.

    Links are followed only as long as they end below the root.

    Args:
        reference: Path relative to the root, as the sample table has it.
        root: The image root, resolved.

    Raises:
        DecodeError: If the reference leaves the root or is not a regular file; the file is not opened then.
    """
    relative = Path(reference)
    if relative.is_absolute():
        raise DecodeError(f"reference {str(reference)!r} is absolute; it must be relative to images.root")
    if ".." in relative.parts:
        raise DecodeError(f"reference {str(reference)!r} contains '..'; it must stay below images.root")
    try:
        target = (root / relative).resolve()
        is_file = target.is_file()
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a name too long, a zero byte
        raise DecodeError(f"reference {str(reference)!r} cannot be resolved: {error}") from error
    if not target.is_relative_to(root):
        raise DecodeError(f"reference {str(reference)!r} is a link that leaves images.root")
    if not is_file:
        raise DecodeError(f"reference {str(reference)!r}: no such file below images.root")
    return target
