"""The exit code of a command that Ctrl-C ended, known before anything else is loaded."""

EXIT_STOPPED = 130  # as shells say it of a program that SIGINT ended
