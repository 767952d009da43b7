"""HTTP: bytes and limits on one side, calls and replies on the other. Nothing here decides anything."""
