"""The record of every decision: what an entry is, and how entries hold on to each other. Pure."""
