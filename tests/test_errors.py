import pickle

import pytest

from weakcl_pipeline.errors import InputError, shown, some, some_lines


def test_a_message_is_told_in_full_unless_it_is_longer_than_anybody_reads():
    assert str(InputError("x" * 4000)) == "x" * 4000
    error = InputError("table.csv: " + "x" * 1_000_000 + " Correct it.")
    assert str(error).startswith("table.csv: xxx")
    assert str(error).endswith("xxx Correct it.")
    assert "... (996,523 characters) ..." in str(error)
    assert len(str(error)) < 4000
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 - as workers hand it on


def test_a_command_is_never_cut():
    command = "kedro run --load-versions=" + ",".join(f"artifact_{i}:2026" for i in range(400))
    error = InputError("They do not agree: " + "x" * 9000 + " Run:", command)
    assert str(error).endswith(f"xxx Run:\n  {command}")
    assert len(str(error)) < 4000 + len(command)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301
    assert type(pickle.loads(pickle.dumps(error))) is InputError  # noqa: S301


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("https://user:geheim@host/pics.zip", "https://host/pics.zip"),
        ("https://user:ge@heim@host/pics.zip", "https://host/pics.zip"),
        ("from s3://key:secret@bucket/a to s3://key@bucket", "from s3://bucket/a to s3://bucket"),
        ("https://host/a@1?mail=a@b", "https://host/a@1"),
        ("https://host is a@b's //x@y", "https://host is a@b's //x@y"),
        ("https://user:geheim@host/p.zip?X-Amz-Date=1&X-Amz-Signature=geheim", "https://host/p.zip"),
        ("root (it is 'https://host/a?sig=x%2By='), no", "root (it is 'https://host/a'), no"),
        ("from s3://a?k=1: no; to s3://b?k=2.", "from s3://a: no; to s3://b."),
        ("https://host/a?odd='x),\"y'&sig=geheim", "https://host/a"),
        ("https://host/a?then=https://other/b?sig=geheim", "https://host/a"),
        ("Is a?b at https://host/a? No, part-?.csv", "Is a?b at https://host/a? No, part-?.csv"),
    ],
)
def test_names_passwords_and_queries_in_urls_are_not_shown(text, told):
    assert shown(text) == told


@pytest.mark.parametrize(
    ("texts", "told"),
    [([], ""), (["a"], "a"), ([*"abcde"], "a, b, c, d, e"), ([*"abcdefg"], "a, b, c, d, e and 2 more")],
)
def test_of_many_texts_the_first_are_shown_and_the_others_counted(texts, told):
    assert some(texts) == told


def test_many_texts_may_be_known_by_number_only():
    assert some([*"abc"], total=12, most=3, separator="; ") == "a; b; c and 9 more"


def test_texts_have_a_line_each():
    assert some_lines([*"abc"], most=3) == "  a\n  b\n  c"
    assert some_lines([*"abc"], most=2) == "  a\n  b\n  ... and 1 more"
