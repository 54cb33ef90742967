from __future__ import annotations

from pathlib import Path


from speechkit.data.corpora.transcripts import Table


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
