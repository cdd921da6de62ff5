"""`python -m notifhist.run`: `notifhist-run` without its script."""

from notifhist.run.start import main

main()
