"""The attribute column that a rule works on."""

from collections.abc import Mapping

from weakcl_pipeline.attributes.casting import AttributeKind
from weakcl_pipeline.attributes.schema import AttributeSpec
from weakcl_pipeline.errors import InputError


def only_column(asked: str | None, specs: Mapping[str, AttributeSpec], kind: AttributeKind, rule: str) -> str:
    """The column of a kind that a rule is told to use, or the only one there is.

    Raises:
        InputError: There is no such column, or several to choose from.
    """
    known = [name for name, spec in specs.items() if spec.kind == kind]
    names = ", ".join(known) or "none"
    if asked is not None and asked not in known:
        raise InputError(
            f"clustering.rule.column: {rule} works on a {kind.value} attribute, which '{asked}' is not; there are:"
            f" {names}. Declare it with `kind: {kind.value}` under ingestion.attributes, and let it take part"
            f" (clustering.attributes)."
        )
    if asked is None and len(known) != 1:
        raise InputError(
            f"clustering.rule.column: {rule} works on one {kind.value} attribute; there are: {names}."
            f" {'Name one of them.' if known else f'Declare one with `kind: {kind.value}` under ingestion.attributes.'}"
        )
    return asked or known[0]
