"""Which files hold the same music, told by their content: the same bytes, the same samples, or the same sound."""
