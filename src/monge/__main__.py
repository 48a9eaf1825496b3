"""``python -m monge`` is ``monge``."""

from monge.cli.main import main

if __name__ == "__main__":
    main()
