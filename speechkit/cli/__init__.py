"""The command line: one small file per verb, each with ``HELP``, ``add_arguments(parser)`` and ``run(args)``."""
