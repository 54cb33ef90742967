"""``python -m speechkit`` is the same as ``speechkit``."""

from speechkit.cli.main import main

raise SystemExit(main())
