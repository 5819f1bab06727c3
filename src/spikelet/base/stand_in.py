"""What can lie in the place of any file: nothing, a pointer to it, or the page of a download that went wrong."""

from __future__ import annotations

LONGEST = 512  # bytes that are looked at
_POINTER = b"version https:"
_WEB = (b"<!doctype", b"<html", b"<?xml", b"<head", b"<body")


def stand_in(head: bytes) -> str | None:
    """What a file whose first bytes, at most `LONGEST`, are `head` is instead of what it should be; None: nothing that
    is known here."""
    if not head:
        return "an empty file"
    if head.startswith(_POINTER):
        return "a Git LFS pointer, which stands for the file (git lfs pull fetches it)"
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_WEB):
        return "a web page (a download that went wrong?)"
    return None
