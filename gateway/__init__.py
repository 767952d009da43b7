"""The shell: HTTP, storage, keys, time and vendors around the pure `verifiers` and `policies`."""

VERSION = "0.1.0"
