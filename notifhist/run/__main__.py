"""`python -m notifhist.run`: `notifhist-run` without its script."""

from notifhist.run.wrapper import main

main()
