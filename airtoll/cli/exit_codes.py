"""How the command line exits: 0 done, 1 the run failed or traces differ, 2 invalid usage, 130 interrupted."""

FAILED, USAGE, INTERRUPTED = 1, 2, 130
