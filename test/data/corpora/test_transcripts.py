from __future__ import annotations

from pathlib import Path

import pytest


from speechkit.data.corpora.transcripts import Table, find_table, read_text_files


def write(path: Path, content: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def texts(rows) -> dict[str, str]:
    return {row.id: row.text for row in rows}


def test_rows_say_where_they_come_from(tmp_path):
    table = write(tmp_path / "transcripts.tsv", "audio\ttext\na/b.wav\t one  two \n")
    (row,) = Table(table).rows([])
    assert (row.id, row.audio, row.text, row.source) == ("a-b", "a/b.wav", "one two", f"{table}:2")
    assert row.speaker is None and row.split is None


def test_a_text_file_without_its_audio_is_refused_but_a_readme_is_not(tmp_path):
    for name in ("sub/a.wav", "sub/a.txt", "sub/b.txt", "README.txt", "sub/License.txt", "LICENCE-en.txt"):
        write(tmp_path / name, "hello")
    refused = []
    assert texts(read_text_files(tmp_path, refused)) == {"sub-a": "hello"}
    assert [(item.id, item.source, item.reason) for item in refused] == [
        ("sub-b", str(tmp_path / "sub" / "b.txt"), "missing file")
    ]


def test_text_files_in_a_folder_without_transcripts_beside_the_audio_are_not_refused(tmp_path):
    for name in ("a.wav", "speakers.txt"):
        write(tmp_path / name, "hello")
    refused = []
    assert texts(read_text_files(tmp_path, refused)) == {} and refused == []


# --- which table ----------------------------------------------------------------------------------------------------


def test_the_only_table_is_found_whatever_its_name(tmp_path):
    write(tmp_path / "a.wav")
    table = write(tmp_path / "t.tsv")
    assert find_table(tmp_path) == table


def test_a_usual_name_comes_before_other_tables(tmp_path):
    write(tmp_path / "genders.csv")
    table = write(tmp_path / "metadata.csv")
    assert find_table(tmp_path) == table


@pytest.mark.parametrize("names", [("mine.tsv", "yours.csv"), ("metadata.csv", "transcripts.tsv")])
def test_of_several_tables_one_must_be_named(tmp_path, names):
    for name in names:
        write(tmp_path / name)
    with pytest.raises(ValueError, match=f"expected one table, got {names[0]}, {names[1]}; name it: `transcripts=") as e:
        find_table(tmp_path)
    assert "\n" not in str(e.value)
    assert find_table(tmp_path, names[1]) == tmp_path / names[1]


def test_a_table_of_another_name_does_not_replace_text_files(tmp_path):
    write(tmp_path / "speakers.tsv")
    write(tmp_path / "sub" / "a.wav")
    write(tmp_path / "sub" / "a.txt")
    assert find_table(tmp_path) is None
