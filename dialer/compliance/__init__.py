"""The rules that may forbid a call, each a pure function."""
