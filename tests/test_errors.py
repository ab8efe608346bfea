import pickle

from weakcl_pipeline.errors import InputError


def test_a_message_is_told_in_full_unless_it_is_longer_than_anybody_reads():
    assert str(InputError("x" * 4000)) == "x" * 4000
    error = InputError("table.csv: " + "x" * 1_000_000 + " Correct it.")
    assert str(error).startswith("table.csv: xxx")
    assert str(error).endswith("xxx Correct it.")
    assert "... (996,523 characters) ..." in str(error)
    assert len(str(error)) < 4000
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 - as workers hand it on
