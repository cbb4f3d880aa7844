"""Damaged and hostile files, thousands of them: every one is read, or refused with one line."""
