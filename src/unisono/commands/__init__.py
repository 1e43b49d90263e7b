"""The verbs of the command line, one module each: options, what is printed, the exit code."""
