"""kopf, as a thin shell: it watches our three kinds, logs in, and says when it stands."""
