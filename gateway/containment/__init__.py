"""Processes that read hostile evidence and can do nothing else; see README.md beside this file."""
