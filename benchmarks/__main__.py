"""`make bench`: latency of the small network, the native program beside PyTorch. See end_to_end.py for its options."""

from benchmarks.end_to_end import main

if __name__ == "__main__":
    main()
