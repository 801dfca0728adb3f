"""`python -m nem_tui` is the same as `nem-tui`."""

from nem_tui import main

main()
