"""Pure appraisal: is believable evidence good enough, and for what. Rules over claims; no I/O, no clock."""
