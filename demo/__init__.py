"""The demo: from rendered scores to an answered query, with the product's own commands. Run by `make demo`.

scores        reads compositions from music21's corpus
arrange       dresses a composition up: instruments, tempo, accompaniment; knows what can be heard in the result
captions      says so in words, as people, a model and tags would
render        turns arrangements into mp3 files, in child processes
releases      decides what lies in which dataset, and lays the files out as the official releases do
commands      runs the product's commands as a user would
targets       measures the outcome and says whether it is good enough
"""
