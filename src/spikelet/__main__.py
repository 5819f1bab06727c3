"""`python -m spikelet`, the same as the command `spikelet`; what `accelerate launch -m spikelet train ...` runs."""

from __future__ import annotations

from spikelet.cli import main

if __name__ == "__main__":
    main()
