"""The outside world behind the protocols of `ports`: one outside system each, its exceptions translated to `errors`."""
