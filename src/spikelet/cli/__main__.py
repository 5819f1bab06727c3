"""`python -m spikelet.cli`, the same as `spikelet`; what `accelerate launch -m spikelet.cli train ...` runs."""

from __future__ import annotations

from spikelet.cli import main

if __name__ == "__main__":
    main()
