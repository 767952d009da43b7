"""Messages of the protocols that guests and relying parties speak. Bytes in, values out; no I/O."""
