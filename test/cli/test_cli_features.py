from __future__ import annotations

import tiny

from speechkit.cli.main import main


def test_features_are_stored_if_the_config_wants_them(tmp_path, capsys):
    conf = str(tiny.write_corpus(tmp_path))
    assert main(["features", conf]) == 0 and "nothing to store" in capsys.readouterr().out
    assert main(["features", conf, "data.features=precomputed"]) == 0
    names = [line.rsplit("/", 1)[1].rsplit("-", 1)[0] for line in capsys.readouterr().out.splitlines()]
    assert names == ["train", "dev", "test"]
