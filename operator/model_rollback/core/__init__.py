"""What is decided, and nothing else: pure functions of what was observed. No I/O, no clock, no logging, no await."""
