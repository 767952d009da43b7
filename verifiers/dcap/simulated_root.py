"""Digest of the simulator's Intel-shaped root certificate (SHA-256 over DER).

It counts only under `AnchorSet.VENDOR_AND_SIMULATED`, and whatever it vouches for is marked simulated.
Its private key is in gateway/simulator/keys.json, public on purpose.
"""

ROOT_SHA256 = "55aa48de894fd750d56adaa01091cdc187f3f157da186af62beac018a3ca005c"
