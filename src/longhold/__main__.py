"""`python -m longhold` is the command `longhold`."""

from longhold.cli.main import main

main()
