"""What is common to every provider: attribute names, governance, recording and streaming."""
