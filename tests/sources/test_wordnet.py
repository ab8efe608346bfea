"""The WordNet hierarchy: which way leads to a synset, and what is said of files that are not as they should be."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.images.test_decode import memory, reset_peak_memory
from weakcl_pipeline.errors import InputError
from weakcl_pipeline.sources.wordnet import hierarchy

LETTERS = "abcdefghij"


def wnid(letter):
    return f"n{LETTERS.index(letter):08d}"


def write(folder, pairs, words=LETTERS):
    """Write `ab` as a line that says b lies below a."""
    folder.mkdir(exist_ok=True)
    (folder / "wordnet.is_a.txt").write_text("".join(f"{wnid(above)} {wnid(below)}\n" for above, below in pairs))
    (folder / "words.txt").write_text("".join(f"{wnid(letter)}\t{letter}, {letter}{letter}\n" for letter in words))


def way(folder, letter):
    """The way to a synset, its nodes as letters."""
    path = hierarchy(folder, [wnid(letter)])[wnid(letter)]
    assert all(node == f"{node[0]} ({wnid(node[0])})" for node in path)
    return "".join(node[0] for node in path)


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ("ab bc cj", "abcj"),
        ("ab bc cj aj", "aj"),  # the shortest way
        ("ab bj ac cj", "abj"),  # of equally short ones that of the parent named first
        ("ac ab cj bj", "acj"),
        ("ac cj ab bj", "acj"),
        ("ab bj cj", "cj"),  # two roots
        ("ab ab bj", "abj"),  # a line twice
        ("ab bj de ed", "abj"),  # a circle that is not above it
        ("ab bc ad dc ae eb cj", "abcj"),
    ],
)
def test_of_several_ways_the_shortest_is_taken(tmp_path, pairs, expected):
    write(tmp_path, pairs.split())
    assert way(tmp_path, "j") == expected


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 8), st.integers(1, 9)), min_size=1, max_size=25))
def test_the_way_is_as_short_as_breadth_first_search_finds_it(tmp_path_factory, pairs):
    edges = [(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]] + [(0, 9)]
    folder = tmp_path_factory.mktemp("wordnet")
    write(folder, [LETTERS[above] + LETTERS[below] for above, below in edges])
    below = {above for _, above in edges}
    for child in sorted(below):
        level, length = {child}, 1
        while not any(node not in below for node in level):
            level, length = {above for above, node in edges if node in level}, length + 1
        found = way(folder, LETTERS[child])
        assert len(found) == length
        assert found[-1] == LETTERS[child]
        assert LETTERS.index(found[0]) not in below
        assert all((LETTERS.index(above), LETTERS.index(node)) in edges for above, node in pairwise(found))


@pytest.mark.parametrize(
    ("pairs", "words", "message"),
    [
        ("ab bc", LETTERS, "wordnet.is_a.txt: the class n00000009 lies below nothing"),
        ("ja", LETTERS, "wordnet.is_a.txt: the class n00000009 lies below nothing"),
        ("ab jj", LETTERS, "a synset is above itself: n00000009 above n00000009 (line 2)"),
        ("ab bj", "aj", "words.txt: there is no line for n00000001, which lies above a class or is one"),
    ],
)
def test_synsets_without_their_place_or_name(tmp_path, pairs, words, message):
    write(tmp_path, pairs.split(), words)
    with pytest.raises(InputError) as error:
        way(tmp_path, "j")
    assert message in str(error.value)


def test_a_circle_is_named_with_its_lines(tmp_path):
    write(tmp_path, ["ab", "bc", "cd", "db", "dj"])
    with pytest.raises(InputError, match="a synset is above itself") as error:
        way(tmp_path, "j")
    for step in ("n00000001 above n00000002 (line 2)", "n00000002 above n00000003 (line 3)", "(line 4)"):
        assert step in str(error.value)


@pytest.mark.parametrize("name", ["wordnet.is_a.txt", "words.txt"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"n00000000 n00000009\nn0000001\n", "line 2"),
        (b"n00000000\tn00000009\nspoon fork\n", "line 2: expected"),
        (b"n00000000 n00000009\n\n\xff\n", "line 3: not text in UTF-8"),
        (None, "there is no such file"),
    ],
)
def test_other_files_are_refused_with_the_line(tmp_path, name, content, message):
    write(tmp_path, ["aj"])
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as error:
        way(tmp_path, "j")
    assert name in str(error.value)
    assert message in str(error.value)


def test_a_chain_that_is_no_wordnet_is_refused_before_its_paths_fill_the_memory(tmp_path):
    names = [f"n{number:08d}" for number in range(20_000)]
    (tmp_path / "wordnet.is_a.txt").write_text("".join(f"{above} {below}\n" for above, below in pairwise(names)))
    (tmp_path / "words.txt").write_text("".join(f"{name}\ta\n" for name in names))
    assert len(hierarchy(tmp_path, [names[99]])[names[99]]) == 100
    reset_peak_memory()
    before = memory("VmHWM")
    with pytest.raises(InputError, match=r"wordnet.is_a.txt: the class n00019999 lies 19999 levels deep"):
        hierarchy(tmp_path, [names[-1]])
    assert memory("VmHWM") - before < 100 << 20
