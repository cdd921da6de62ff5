"""`python -m notifhist.cli`."""

from notifhist.cli import main

main()
