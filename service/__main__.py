"""`python -m service` is `quadglass`."""

from .cli import main

if __name__ == "__main__":
    main()
